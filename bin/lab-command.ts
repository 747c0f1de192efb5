// `sallyport lab`: two offices and a tunnel on this machine. Real namespaces where they can be had, else the same core in one process.

import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { runInProcess } from '../lab/in-process.ts';
import { Lab } from '../lab/lab.ts';
import { whyNoNamespaces } from '../lab/namespaces.ts';
import type { LabReport } from '../lab/report.ts';
import { whyNoForeignFunctions } from '../src/host/foreign-functions.ts';
import { parseArguments } from './usage-error.ts';
import { PACKAGE_ROOT } from './version.ts';

/** 0 only if traffic really passed and everything that was checked held. */
export async function labCommand(words: readonly string[]): Promise<number> {
  const { values } = parseArguments({
    args: [...words],
    options: { once: { type: 'boolean', default: false }, json: { type: 'boolean', default: false } },
  });
  const say = (text: string): void => {
    if (!values.json) process.stdout.write(text);
  };
  const obstacle = whyNoNamespaces() ?? whyNoForeignFunctions();
  if (obstacle !== undefined) {
    process.stderr.write(
      `no real network here: ${obstacle}. The same gateways run over an in-process network instead.\n`,
    );
    return conclude(runInProcess(configurationFolder(), say), values.json);
  }
  return await runInNamespaces(say, values);
}

async function runInNamespaces(
  say: (text: string) => void,
  { once, json }: { readonly once: boolean; readonly json: boolean },
): Promise<number> {
  const interrupted = new Promise<void>((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => resolve());
  });
  const lab = new Lab({
    program: fileURLToPath(new URL('./sallyport.js', import.meta.url)),
    configurations: configurationFolder(),
    programs: (name) => fileURLToPath(new URL(`../lab/${name}.js`, import.meta.url)),
    say,
  });
  try {
    const report = await Promise.race([lab.prove(), interrupted]);
    if (report === undefined) return 130;
    const status = conclude(report, json);
    if (status !== 0) process.stderr.write(`${lab.logs()}\n`);
    if (once || status !== 0) return status;
    say('\n');
    say(lab.hints());
    await interrupted;
    return 0;
  } finally {
    await lab.close();
  }
}

function conclude(report: LabReport, json: boolean): number {
  if (json) process.stdout.write(`${JSON.stringify(report)}\n`);
  else process.stdout.write(report.reason === undefined ? 'passed\n' : `failed: ${report.reason}\n`);
  return report.reason === undefined && report.tunnel === 'up' ? 0 : 1;
}

function configurationFolder(): string {
  return join(PACKAGE_ROOT, 'lab');
}
