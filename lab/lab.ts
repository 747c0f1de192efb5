// The two-office lab, from nothing to a tunnel with traffic in it, checked on the wire. Everything is real but the distance.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { renderLadder } from '../src/diagnosis/ladder.ts';
import type { EchoReport } from './echo.ts';
import { GatewayProcess } from './gateway-process.ts';
import { type Namespaces, removeStaleNamespaces } from './namespaces.ts';
import { type ProgramPath, ping, TO_BRANCH, transfer, WireTap } from './offices.ts';
import { countDatagrams, type LabReport, ladderOf, negotiationOf, whyFailed } from './report.ts';
import { BRANCH_HOST, buildTwoOffices, WAN } from './topology.ts';

/** Where things are, and where the lab's words go. */
export interface LabOptions {
  /** The compiled executable. */
  readonly program: string;
  /** The folder with the two configurations. */
  readonly configurations: string;
  readonly programs: ProgramPath;
  say(text: string): void;
}

const PING_COUNT = 5;
const TRANSFER_MILLISECONDS = 2000;

/** The lab, standing: two gateways that run until `close`. */
export class Lab {
  readonly #options: LabOptions;
  readonly #namespaces: Namespaces;
  readonly #folder: string;
  #main: GatewayProcess | undefined;
  #branch: GatewayProcess | undefined;
  #tap: WireTap | undefined;

  /** Makes the namespaces. What a lab that was killed left behind is removed first. */
  constructor(options: LabOptions) {
    this.#options = options;
    for (const name of removeStaleNamespaces()) options.say(`removed ${name}, left by a lab that was killed\n`);
    this.#namespaces = buildTwoOffices();
    this.#folder = mkdtempSync(join(tmpdir(), 'sallyport-lab-'));
  }

  /** Brings the tunnel up by a ping, passes traffic, and checks the wire. Rejects if a program does not even run. */
  async prove(): Promise<LabReport> {
    const { say, programs } = this.#options;
    say('four namespaces: main-lan, main-gw, branch-gw, branch-lan\n');
    this.#main = await this.#startGateway('main-gw', 'main-office.conf');
    this.#branch = await this.#startGateway('branch-gw', 'branch-office.conf');
    this.#tap = await WireTap.start(this.#namespaces, programs);
    say('two gateways run; a ping from the main office to the branch asks for the tunnel\n\n');

    const echo = await ping(this.#namespaces, programs, TO_BRANCH, { count: PING_COUNT, interval: 200, wait: 3000 });
    const messages = negotiationOf(this.#main.events);
    say(`${renderLadder(ladderOf(this.#main.events))}\n`);
    say(await this.#tables());
    say(`${describePing(echo)}\n`);
    const throughputBitsPerSecond = echo.received > 0 ? await this.#transfer() : 0;
    const wire = await this.#tap.read();
    say(`on the wire between the gateways: ${wire.esp + wire['esp-in-udp']} ESP packets, ${wire.cleartext} in clear\n`);
    const heldDown = await this.#holdDown();

    const measured: LabReport = {
      tunnel: echo.received > 0 ? 'up' : 'down',
      ...countDatagrams(messages),
      ping: { sent: echo.sent, received: echo.received },
      throughputBitsPerSecond,
      wire: { esp: wire.esp + wire['esp-in-udp'], cleartext: wire.cleartext },
      heldDown,
      substrate: 'namespaces',
    };
    const reason = whyFailed(measured);
    return reason === undefined ? measured : { ...measured, reason };
  }

  /** What to type next, while the lab stands. */
  hints(): string {
    const inside = (namespace: string): string => `ip netns exec ${this.#namespaces.fullName(namespace)}`;
    const control = join(this.#folder, 'main-gw.control');
    return [
      'The lab stays up. From another terminal:',
      `  ${inside('main-lan')} ping ${BRANCH_HOST}`,
      `  ${inside('main-gw')} tcpdump -ni ${WAN} esp or udp port 500`,
      `  node ${this.#options.program} show security ipsec security-associations detail --control ${control}`,
      'Ctrl-C ends it and removes everything.',
      '',
    ].join('\n');
  }

  /** The gateways' logs, for a lab that failed. */
  logs(): string {
    return [this.#main, this.#branch].map((gateway) => gateway?.log() ?? '').join('\n');
  }

  /** Stops the gateways and removes everything that the lab made. */
  async close(): Promise<void> {
    this.#tap?.close();
    this.#branch?.resume();
    await Promise.all([this.#main?.stop(), this.#branch?.stop()]);
    this.#namespaces.remove();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #startGateway(namespace: string, configuration: string): Promise<GatewayProcess> {
    const { program, configurations } = this.#options;
    return GatewayProcess.start({
      namespaces: this.#namespaces,
      namespace,
      program,
      configuration: join(configurations, configuration),
      folder: this.#folder,
    });
  }

  async #tables(): Promise<string> {
    const ike = await this.#main?.show('show security ike security-associations');
    const ipsec = await this.#main?.show('show security ipsec security-associations');
    return `main office, show security ike security-associations\n${ike}\nshow security ipsec security-associations\n${ipsec}\n`;
  }

  async #transfer(): Promise<number> {
    const { octets, milliseconds } = await transfer(
      this.#namespaces,
      this.#options.programs,
      TO_BRANCH,
      TRANSFER_MILLISECONDS,
    );
    const rate = milliseconds > 0 ? Math.round((octets * 8000) / milliseconds) : 0;
    this.#options.say(
      `TCP through the tunnel: ${(octets / 1e6).toFixed(1)} MB in ${(milliseconds / 1000).toFixed(1)} s, ${(rate / 1e6).toFixed(0)} Mbit/s\n`,
    );
    return rate;
  }

  /** With the branch held and the SAs cleared, nothing may arrive, and nothing may leave in clear. */
  async #holdDown(): Promise<NonNullable<LabReport['heldDown']>> {
    const { say, programs } = this.#options;
    this.#branch?.pause();
    try {
      await this.#main?.clear();
      await this.#tap?.read();
      const { received } = await ping(this.#namespaces, programs, TO_BRANCH, { count: 3, interval: 200, wait: 500 });
      const cleartext = (await this.#tap?.read())?.cleartext ?? 0;
      say(
        `with the branch held and the SAs cleared: ${received} of 3 pings came back, ${cleartext} packets left in clear\n`,
      );
      return { received, cleartext };
    } finally {
      this.#branch?.resume();
    }
  }
}

function describePing(report: EchoReport): string {
  const times = report.roundTripMilliseconds;
  const settled = times.slice(1);
  const average = settled.reduce((sum, time) => sum + time, 0) / Math.max(1, settled.length);
  const [first] = times;
  const detail =
    first === undefined
      ? ''
      : `; the first took ${first.toFixed(1)} ms with the negotiation, the others ${average.toFixed(2)} ms`;
  return `ping 10.1.0.10 -> 10.2.0.10: ${report.sent} sent, ${report.received} came back${detail}`;
}
