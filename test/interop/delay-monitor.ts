// Loaded into a gateway before its own program (`node --import`): writes once a second how late the control thread's event loop is, in milliseconds,
// into the file that SALLYPORT_DELAY_FILE names, with the process's number behind.

import { writeFileSync } from 'node:fs';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { isMainThread } from 'node:worker_threads';

const path = process.env['SALLYPORT_DELAY_FILE'];
if (isMainThread && path !== undefined) {
  const delay = monitorEventLoopDelay({ resolution: 5 });
  delay.enable();
  setInterval(() => {
    const [mean, late, highest] = [delay.mean, delay.percentile(99), delay.max].map((value) => value / 1e6);
    writeFileSync(`${path}.${process.pid}`, JSON.stringify({ mean, late, highest }));
  }, 1000).unref();
}
