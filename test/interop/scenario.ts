import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { EchoReport } from '../../lab/echo.ts';
import { GatewayProcess } from '../../lab/gateway-process.ts';
import { Namespaces, removeStaleNamespaces, whyNoNamespaces } from '../../lab/namespaces.ts';
import { type Journey, type ProgramPath, ping, transfer } from '../../lab/offices.ts';
import type { TransferReport } from '../../lab/transfer.ts';
import { Charon, type CharonConfiguration, whyNoCharon } from './charon.ts';

export const OUR_ADDRESS = '198.51.100.1';
export const THEIR_ADDRESS = '198.51.100.2';
export const OUR_LAN = '10.1.0.0/24';
export const THEIR_LAN = '10.2.0.0/24';

/** Where the packets go, and the only way they can: through the tunnel. */
export const TO_THEM: Journey = { from: 'our-lan', to: 'their-lan', address: '10.2.0.10' };
export const TO_US: Journey = { from: 'their-lan', to: 'our-lan', address: '10.1.0.10' };

/** The programs of the lab, compiled. */
const PROGRAMS: ProgramPath = (name) => fileURLToPath(new URL(`../../lab/${name}.js`, import.meta.url));
const SALLYPORT = fileURLToPath(new URL('../../bin/sallyport.js', import.meta.url));

/** Who is behind a translator of addresses, which then stands between the gateways. */
export type NatSide = 'ours' | 'theirs' | 'none';

/** Addresses that the gateways themselves have when one of them is behind NAT; the other one sees the translator's. */
export const INSIDE_ADDRESS = '192.168.7.2';
export const NAT_ADDRESS = '198.51.100.3';

let count = 0;

/** Why a test against strongSwan cannot run here, in words for the summary; `false` if it can. */
export function skipReason(): string | false {
  return whyNoNamespaces() ?? whyNoCharon() ?? false;
}

/** Sallyport on one side, strongSwan on the other, each with a LAN behind it. Everything goes when the test ends. */
export class Scenario {
  readonly namespaces: Namespaces;
  /** For whatever the test writes; goes with it. */
  readonly folder: string;
  readonly #nat: NatSide;
  #ours: GatewayProcess | undefined;
  #theirs: Charon | undefined;
  #swanctl: CharonConfiguration | undefined;

  constructor(context: TestContext, nat: NatSide = 'none') {
    this.#nat = nat;
    removeStaleNamespaces();
    this.namespaces = new Namespaces(`interop${letters(count++)}`);
    this.folder = mkdtempSync(join(tmpdir(), 'sallyport-interop-'));
    context.after(async () => {
      await this.#ours?.stop();
      await this.#theirs?.stop();
      this.namespaces.remove();
      const { SALLYPORT_KEEP_LOGS } = process.env;
      if (!SALLYPORT_KEEP_LOGS) rmSync(this.folder, { recursive: true, force: true });
    });
    this.#build();
  }

  get ours(): GatewayProcess {
    if (!this.#ours) throw new Error('the test has not started our gateway');
    return this.#ours;
  }

  get theirs(): Charon {
    if (!this.#theirs) throw new Error('the test has not started strongSwan');
    return this.#theirs;
  }

  /** Starts both sides. `srx` is our configuration, in either form. */
  async start(srx: string, swanctl: CharonConfiguration): Promise<void> {
    this.#swanctl = swanctl;
    this.#theirs = await Charon.start(this.namespaces, 'theirs', join(this.folder, 'theirs'), swanctl);
    await this.startOurs(srx);
  }

  /** Our side alone, for a peer that is not strongSwan. */
  async startOurs(srx: string): Promise<void> {
    const { namespaces, folder } = this;
    const configuration = join(folder, 'ours.conf');
    writeFileSync(configuration, srx);
    this.#ours = await GatewayProcess.start({
      ...{ namespaces, namespace: 'ours', program: SALLYPORT },
      ...{ configuration, folder },
    });
  }

  /** Asks for the tunnel by traffic: strongSwan installs its SAs only after message 3, so what was sent right behind it may be lost. */
  async wakeTunnel(journey: Journey): Promise<void> {
    await this.ping(journey, 1, 3000);
    await eventually(async () => (await this.ours.ipsecSas()).length > 0);
  }

  /** strongSwan again, with the same configuration and no memory. */
  async restartTheirs(): Promise<void> {
    if (!this.#swanctl) throw new Error('strongSwan has not been started');
    this.#theirs = await Charon.start(this.namespaces, 'theirs', join(this.folder, 'theirs-again'), this.#swanctl);
  }

  ping(journey: Journey, echoes = 3, wait = 4000): Promise<EchoReport> {
    return ping(this.namespaces, PROGRAMS, journey, { count: echoes, interval: 200, wait });
  }

  transfer(journey: Journey, milliseconds = 500): Promise<TransferReport> {
    return transfer(this.namespaces, PROGRAMS, journey, milliseconds);
  }

  /** Both sides' logs, for the message of a test that failed. */
  logs(): string {
    return `--- sallyport\n${this.#ours?.log() ?? ''}\n--- strongSwan\n${this.#theirs?.log() ?? ''}`;
  }

  #build(): void {
    const { namespaces } = this;
    namespaces.add('our-lan', 'ours', 'theirs', 'their-lan');
    if (this.#nat === 'none') {
      namespaces.connect(
        { namespace: 'ours', interface: 'wan', address: `${OUR_ADDRESS}/24` },
        { namespace: 'theirs', interface: 'wan', address: `${THEIR_ADDRESS}/24` },
      );
    } else this.#buildNat(this.#nat);
    this.#addLan('our-lan', 'ours', '10.1.0');
    this.#addLan('their-lan', 'theirs', '10.2.0');
  }

  #buildNat(hidden: 'ours' | 'theirs'): void {
    const { namespaces } = this;
    const [open, openAddress] = hidden === 'ours' ? ['theirs', THEIR_ADDRESS] : ['ours', OUR_ADDRESS];
    namespaces.add('nat');
    namespaces.connect(
      { namespace: hidden, interface: 'wan', address: `${INSIDE_ADDRESS}/24` },
      { namespace: 'nat', interface: 'inside', address: '192.168.7.1/24' },
    );
    namespaces.connect(
      { namespace: open, interface: 'wan', address: `${openAddress}/24` },
      { namespace: 'nat', interface: 'outside', address: `${NAT_ADDRESS}/24` },
    );
    namespaces.ip(hidden, 'route', 'add', 'default', 'via', '192.168.7.1');
    namespaces.enableForwarding('nat');
    const rules = `table ip nat {
  chain out {
    type nat hook postrouting priority 100
    oifname "outside" masquerade random
  }
}
`;
    const done = namespaces.run('nat', 'nft', [rules]);
    if (done.status !== 0) throw new Error(`nft: ${done.stderr}`);
  }

  #addLan(lan: string, gateway: string, network: string): void {
    this.namespaces.connect(
      { namespace: lan, interface: 'eth0', address: `${network}.10/24` },
      { namespace: gateway, interface: 'lan', address: `${network}.1/24` },
    );
    this.namespaces.ip(lan, 'route', 'add', 'default', 'via', `${network}.1`);
    this.namespaces.enableForwarding(gateway);
  }
}

/** Polls until a question is answered with yes; `false` if that does not happen in time. */
export async function eventually(isSo: () => Promise<boolean>, milliseconds = 10_000): Promise<boolean> {
  for (const deadline = performance.now() + milliseconds; ; await new Promise((resolve) => setTimeout(resolve, 100))) {
    if (await isSo()) return true;
    if (performance.now() > deadline) return false;
  }
}

function letters(number: number): string {
  return String.fromCharCode(97 + Math.floor(number / 26), 97 + (number % 26));
}
