// Transfers of a gigabyte with a digest at both ends, while packets are lost, doubled and overtaken and the SAs are rekeyed ten times: the tests of
// transfer.test.ts, made long. SALLYPORT_TRANSFER_MEGABYTES makes them shorter. Needs root, and nft.

import { run } from 'node:test';
import { submit, verdict } from './report.ts';

const MEGABYTES = process.env['SALLYPORT_TRANSFER_MEGABYTES'] ?? '1024';
const HOUR = 3_600_000;
const file = new URL('../src/host/packet-engine/transfer.test.js', import.meta.url).pathname;

process.env['SALLYPORT_TRANSFER_MEGABYTES'] = MEGABYTES;
const rows: (readonly string[])[] = [];
let [isAnyRun, isAllRight] = [false, true];
const events = run({ files: [file], concurrency: 1, timeout: HOUR });
events.on('test:pass', ({ name, skip, details }) => {
  if (skip !== undefined) return add(name, `left out: ${skip === true ? 'no reason given' : skip}`);
  isAnyRun = true;
  add(name, 'every octet arrived', details.duration_ms);
});
events.on('test:fail', ({ name, details }) => {
  isAllRight = false;
  add(name, `**failed**: ${details.error.message}`, details.duration_ms);
});
for await (const _ of events);

submit({
  title: `Transfers of ${MEGABYTES} MB with SHA-256 at both ends`,
  tables: [{ columns: ['', 'outcome', 'seconds'], rows }],
  goals: isAnyRun
    ? [
        {
          what: `SHA-256 of ${MEGABYTES} MB under loss, reordering, duplication and ten rekeys`,
          found: isAllRight ? 'agrees' : 'does not agree',
          wanted: 'agrees, no packet lost to a rekey',
          verdict: verdict(isAllRight),
        },
      ]
    : [],
  notes: [],
});
if (!isAllRight) process.exitCode = 1;

function add(name: string, outcome: string, milliseconds?: number): void {
  const seconds = milliseconds === undefined ? '' : (milliseconds / 1000).toFixed(0);
  rows.push([name, outcome, seconds]);
  console.log(`${name}: ${outcome}${seconds && `, ${seconds} s`}`);
}
