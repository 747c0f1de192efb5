import { readFileSync } from 'node:fs';
import { cpus, release } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Namespaces } from '../lab/namespaces.ts';

/** Goodput of a TCP transfer from `a` to `peer`, in bits per second; `reverse` sends the other way. */
export async function measureTcp(
  namespaces: Namespaces,
  peer: string,
  seconds: number,
  streams: number,
  reverse: boolean,
): Promise<number> {
  const server = namespaces.spawn('b', 'iperf3', ['-s', '-1'], { stdio: 'ignore' });
  await sleep(300);
  const flags = ['-c', peer, '-t', String(seconds), '-O', '1', '-P', String(streams), '-J', ...(reverse ? ['-R'] : [])];
  const done = await namespaces.runAsync('a', 'iperf3', flags, (seconds + 20) * 1000);
  server.kill();
  const report = JSON.parse(done.stdout || '{}');
  const bits = report.end?.sum_received?.bits_per_second;
  if (typeof bits !== 'number') throw new Error(`iperf3 to ${peer}: ${report.error ?? done.stderr}`);
  return bits;
}

/** Packets of UDP delivered a second, and the share lost, when `a` sends `rate` bits a second (0: as fast as it can) in packets of `length` octets. */
export async function measureUdp(
  namespaces: Namespaces,
  peer: string,
  seconds: number,
  length: number,
  rate: number,
): Promise<{ readonly packetsPerSecond: number; readonly lossShare: number }> {
  const server = namespaces.spawn('b', 'iperf3', ['-s', '-1'], { stdio: 'ignore' });
  await sleep(300);
  const flags = ['-u', '-c', peer, '-t', String(seconds), '-l', String(length), '-b', String(rate), '-J'];
  const done = await namespaces.runAsync('a', 'iperf3', flags, (seconds + 20) * 1000);
  server.kill();
  const sum = JSON.parse(done.stdout || '{}').end?.sum;
  if (typeof sum?.packets !== 'number')
    throw new Error(`iperf3 -u to ${peer}: ${done.stdout.slice(0, 300)}${done.stderr}`);
  return {
    packetsPerSecond: (sum.packets - sum.lost_packets) / sum.seconds,
    lossShare: sum.packets === 0 ? 1 : sum.lost_packets / sum.packets,
  };
}

/** Round-trip times of pings from `a`, in milliseconds. */
export async function measurePing(
  namespaces: Namespaces,
  peer: string,
  count: number,
): Promise<{ readonly minimum: number; readonly average: number; readonly maximum: number }> {
  const done = await namespaces.runAsync('a', 'ping', ['-c', String(count), '-i', '0.05', '-q', peer], 60_000);
  const [, minimum, average, maximum] = /= ([\d.]+)\/([\d.]+)\/([\d.]+)\//.exec(done.stdout) ?? [];
  return { minimum: Number(minimum), average: Number(average), maximum: Number(maximum) };
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
