import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { cpus, release } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Namespaces } from '../lab/namespaces.ts';

const ATTEMPTS = 6;

/** Takes the TCP transfers that `measureTcp` makes, in namespace `b`, until the namespaces are removed. */
export async function startTcpServer(namespaces: Namespaces): Promise<void> {
  namespaces.spawn('b', 'iperf3', ['-s'], { stdio: 'ignore' });
  await sleep(300);
}

/** Goodput of a TCP transfer from `a` to `peer`, in bits per second; `reverse` sends the other way. Whole seconds. */
export async function measureTcp(
  namespaces: Namespaces,
  peer: string,
  seconds: number,
  streams = 1,
  reverse = false,
): Promise<number> {
  const flags = ['-c', peer, '-t', String(seconds), '-P', String(streams), '-J', ...(reverse ? ['-R'] : [])];
  for (let attempt = 1; ; attempt++) {
    const done = await namespaces.runAsync('a', 'iperf3', flags, (seconds + 20) * 1000);
    const report = JSON.parse(done.stdout || '{}');
    const bits = report.end?.sum_received?.bits_per_second;
    if (typeof bits === 'number') return bits;
    const reason = String(report.error ?? (done.stderr || 'no report in time'));
    // The server may still be taking leave of the last one.
    if (attempt === ATTEMPTS || !reason.includes('busy')) throw new Error(`iperf3 to ${peer}: ${reason}`);
    await sleep(500);
  }
}

/** Round-trip times of pings from `a` that were answered, in milliseconds, in ascending order. */
export async function measurePings(
  namespaces: Namespaces,
  peer: string,
  count: number,
  intervalMilliseconds: number,
): Promise<readonly number[]> {
  const flags = ['-n', '-c', String(count), '-i', String(intervalMilliseconds / 1000), '-W', '2', peer];
  const done = await namespaces.runAsync('a', 'ping', flags, count * intervalMilliseconds + 10_000);
  const times = [...done.stdout.matchAll(/ time=([\d.]+) ms/g)].map(([, time]) => Number(time));
  if (times.length === 0) throw new Error(`ping ${peer}: no answer ${done.stderr}`);
  return times.sort((a, b) => a - b);
}

/** The value below which this share of the ascending values lies. */
export function quantile(ascending: readonly number[], share: number): number {
  return ascending[Math.min(ascending.length - 1, Math.floor(ascending.length * share))] ?? Number.NaN;
}

export interface Spread {
  readonly median: number;
  readonly lowest: number;
  readonly highest: number;
}

export function spreadOf(values: readonly number[]): Spread {
  const sorted = [...values].sort((a, b) => a - b);
  return {
    median: sorted[Math.floor(sorted.length / 2)] ?? 0,
    lowest: sorted[0] ?? 0,
    highest: sorted.at(-1) ?? 0,
  };
}

/** What the figures were measured on, in one line, with how busy it was. */
export function describeMachine(): string {
  const processor = cpus()[0]?.model.trim() ?? 'unknown processor';
  const load = readFileSync('/proc/loadavg', 'utf8').split(' ')[0];
  return `${cpus().length} x ${processor}, Linux ${release()}, Node ${process.versions.node}, OpenSSL ${process.versions.openssl}, load ${load}`;
}

/** The versions of the programs that are measured beside, or measure; those that are missing are named so. */
export function describePrograms(): string {
  return PROGRAMS.map(([name, program, args, pattern]) => {
    const { stdout, stderr } = spawnSync(program, args, { encoding: 'utf8' });
    const version = pattern.exec(`${stdout ?? ''}${stderr ?? ''}`)?.[1];
    return version === undefined ? `no ${name}` : `${name} ${version}`;
  }).join(', ');
}

const PROGRAMS: readonly (readonly [name: string, program: string, args: readonly string[], version: RegExp])[] = [
  ['strongSwan', '/usr/lib/ipsec/charon', ['--version'], /strongSwan (\S+)/],
  ['wireguard-go', 'wireguard-go', ['--version'], /wireguard-go v?(\S+)/],
  ['OpenVPN', 'openvpn', ['--version'], /OpenVPN (\S+)/],
  ['openssl (program)', 'openssl', ['version'], /OpenSSL (\S+)/],
  ['iperf3', 'iperf3', ['--version'], /iperf (\S+)/],
];
