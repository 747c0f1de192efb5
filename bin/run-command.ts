// `sallyport run`: the gateway in the foreground. Starts with a configuration that has no error, or not at all; ends on Ctrl-C or
// SIGTERM, having told the peers and removed what it made.

import { failureAdvice } from '../src/diagnosis/explain.ts';
import { ENGINES_MAX } from '../src/host/engine-assignment.ts';
import { formatLogJson, formatLogText, type LogLevel, type LogRecord } from '../src/host/log.ts';
import { type HostOptions, type RunningGateway, startHost } from '../src/host/run.ts';
import { ControlServer } from '../src/management/control-server.ts';
import type { NegotiationFailedEvent } from '../src/model/ike-event.ts';
import { readConfigurationFile } from './configuration-file.ts';
import { gatewayViewOf } from './gateway-view.ts';
import { parseArguments, UsageError } from './usage-error.ts';

/** Where a gateway listens for its operator unless told otherwise. */
export const CONTROL_PATH_DEFAULT = '/run/sallyport/control';

const LEVELS: readonly LogLevel[] = ['debug', 'info', 'warning', 'error'];

/** Resolves with the exit status once the gateway has stopped. */
export async function runCommand(words: readonly string[]): Promise<number> {
  const { values } = parseArguments({
    args: [...words],
    options: {
      config: { type: 'string', short: 'c' },
      'interface-map': { type: 'string', multiple: true },
      'log-format': { type: 'string', default: 'text' },
      'log-level': { type: 'string', default: 'info' },
      control: { type: 'string', default: CONTROL_PATH_DEFAULT },
      engines: { type: 'string' },
    },
  });
  if (values.config === undefined) throw new UsageError('-c FILE is required: the configuration');
  const log = logWriter(values['log-format'], values['log-level']);
  const interfaceMap = parseInterfaceMap(values['interface-map'] ?? []);
  const engines = parseEngines(values.engines);

  const { loaded, report } = readConfigurationFile(values.config);
  for (const line of report) process.stderr.write(`${values.config}: ${line}\n`);
  if (loaded.config === undefined) throw new Error(`${values.config} has errors; nothing was started`);
  for (const { path, line } of loaded.ignored)
    log({
      level: 'info',
      topic: 'host',
      event: 'ignored',
      message: `line ${line}: [${path}] is kept, not acted on`,
      fields: {},
    });

  const logsMessages = values['log-level'] === 'debug';
  const options = {
    config: loaded.config,
    interfaceMap,
    log,
    logsMessages,
    ...(engines === undefined ? {} : { engines }),
  };
  return await runUntilSignal(options, values.control);
}

async function runUntilSignal(
  options: Omit<HostOptions, 'onEvent' | 'onFailure'>,
  controlPath: string,
): Promise<number> {
  let control: ControlServer | undefined;
  let fail: (error: unknown) => void = () => {};
  const failed = new Promise<number>((resolve) => {
    fail = () => resolve(1);
  });
  const signalled = new Promise<number>((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => resolve(0));
  });
  const running: RunningGateway = await startHost({
    ...options,
    onEvent: (event) => {
      control?.publish(event);
      if (event.kind === 'negotiation-failed') logAdvice(event, options.log);
    },
    onFailure: (error) => fail(error),
  });
  try {
    control = await ControlServer.listen(controlPath, gatewayViewOf(running));
    return await Promise.race([signalled, failed]);
  } finally {
    await control?.close();
    await running.stop();
  }
}

/** What to change, under the line that says what failed. */
function logAdvice(event: NegotiationFailedEvent, log: (record: LogRecord) => void): void {
  const { reason, gateway } = event;
  const fields = { reason, ...(gateway === undefined ? {} : { gateway }) };
  for (const message of failureAdvice(event)) log({ level: 'info', topic: 'ike', event: 'advice', message, fields });
}

function parseInterfaceMap(entries: readonly string[]): Readonly<Record<string, string>> {
  return Object.fromEntries(
    entries.map((entry) => {
      const [junos, linux, ...more] = entry.split('=');
      if (!junos || !linux || more.length > 0) throw new UsageError(`--interface-map ${entry}: write ge-0/0/0=eth0`);
      return [junos, linux];
    }),
  );
}

function parseEngines(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const count = Number(text);
  if (!Number.isInteger(count) || count < 1 || count > ENGINES_MAX)
    throw new UsageError(`--engines ${text}: a number from 1 to ${ENGINES_MAX}`);
  return count;
}

function logWriter(format: string, level: string): (record: LogRecord) => void {
  if (format !== 'text' && format !== 'json') throw new UsageError(`--log-format ${format}: text or json`);
  const least = LEVELS.map(String).indexOf(level);
  if (least < 0) throw new UsageError(`--log-level ${level}: ${LEVELS.join(', ')}`);
  const render = format === 'json' ? formatLogJson : formatLogText;
  return (record) => {
    if (LEVELS.indexOf(record.level) >= least) process.stdout.write(`${render(new Date(), record)}\n`);
  };
}
