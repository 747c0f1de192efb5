// Gateways without a network: what one of them sends is handed to the other, computations are done at once, and the clock is the caller's.

import { computeDiffieHellman } from '../src/crypto/diffie-hellman.ts';
import { nodeCrypto, systemRandom } from '../src/crypto/node-provider.ts';
import { Gateway } from '../src/gateway/gateway.ts';
import type { GatewayOutbox } from '../src/gateway/outbox.ts';
import { type Instant, instant } from '../src/lib/time.ts';
import type { UdpPath } from '../src/model/address.ts';
import type { ComputeJob, ComputeResult } from '../src/model/compute-job.ts';
import type { DataPlaneCommand } from '../src/model/data-plane.ts';
import type { GatewayConfig } from '../src/model/gateway-config.ts';
import type { IkeEvent } from '../src/model/ike-event.ts';

/** A datagram with its path as the sender sees it. */
interface Datagram {
  readonly path: UdpPath;
  readonly octets: Uint8Array;
}

/** One gateway and what it has asked for. Time spent in it is counted, in milliseconds. */
export class BareGateway implements GatewayOutbox {
  readonly gateway = new Gateway({ crypto: nodeCrypto, random: systemRandom });
  readonly datagrams: Datagram[] = [];
  /** As `sallyport run` has it unless it logs every message. */
  readonly wantsMessages = false;
  /** Everything in the gateway, Diffie-Hellman included. */
  spent = 0;
  /** Diffie-Hellman alone. */
  computing = 0;
  establishedCount = 0;
  readonly #jobs: ComputeJob[] = [];
  readonly #onCommand: (command: DataPlaneCommand) => void;

  constructor(now: Instant, config: GatewayConfig, onCommand: (command: DataPlaneCommand) => void = () => {}) {
    this.#onCommand = onCommand;
    this.gateway.applyConfig(now, config, this);
  }

  /** Calls into the gateway, and does what it wants computed. */
  act(now: Instant, action: (gateway: Gateway, out: GatewayOutbox) => void): void {
    const start = performance.now();
    action(this.gateway, this);
    for (let job = this.#jobs.shift(); job !== undefined; job = this.#jobs.shift()) {
      const result = this.#compute(job);
      this.gateway.handleComputed(now, job.id, result, this);
    }
    this.spent += performance.now() - start;
  }

  transmit(path: UdpPath, octets: Uint8Array): void {
    this.datagrams.push({ path, octets });
  }

  compute(job: ComputeJob): void {
    this.#jobs.push(job);
  }

  command(command: DataPlaneCommand): void {
    this.#onCommand(command);
  }

  report(event: IkeEvent): void {
    if (event.kind === 'ipsec-sa-established') this.establishedCount++;
    if (event.kind === 'negotiation-failed') throw new Error(event.explanation);
  }

  #compute(job: ComputeJob): ComputeResult {
    const start = performance.now();
    const result = computeDiffieHellman(job);
    this.computing += performance.now() - start;
    return result;
  }
}

/** Hands datagrams over, in both directions, until neither side has anything to say. */
export function converse(now: Instant, a: BareGateway, b: BareGateway): void {
  while (a.datagrams.length > 0 || b.datagrams.length > 0) {
    deliver(now, a, b);
    deliver(now, b, a);
  }
}

/** Lets everything happen that is due in the next `milliseconds`; returns the new time. */
export function letTimePass(now: Instant, milliseconds: number, gateway: BareGateway): Instant {
  const end = instant(now + milliseconds);
  while (gateway.gateway.nextTimeout() <= end) {
    now = instant(Math.max(now, gateway.gateway.nextTimeout()));
    const at = now;
    gateway.act(at, (core, out) => core.handleTimeout(at, out));
  }
  return end;
}

function deliver(now: Instant, from: BareGateway, to: BareGateway): void {
  for (const { path, octets } of from.datagrams.splice(0)) {
    const seen = { local: path.remote, remote: path.local };
    to.act(now, (core, out) => core.handleDatagram(now, seen, octets, out));
  }
}
