import { after, type Instant, milliseconds, NEVER } from '../lib/time.ts';
import type { VpnConfig, VpnSelectorConfig } from '../model/gateway-config.ts';
import { clientPolicyId, type PolicyId, policyId } from '../model/ipsec-sa.ts';
import type { SelectorPair } from '../model/traffic-selector.ts';
import type { IkeOutbox } from './outbox.ts';

/**
 * Waits between attempts: this long after the first failure, doubled each time that the peer refuses, up to the longest. A peer that is
 * silent is tried again at the first wait's pace, since the attempt itself took half a minute, and the peer is to be found soon.
 */
const RETRY_FIRST = 5000;
const RETRY_LONGEST = 60_000;

/** What a tunnel is doing about its next pair: nothing, waiting for an ISAKMP SA, or in Quick Mode as initiator. */
export type TunnelActivity = 'idle' | 'waiting' | 'negotiating';

/** One VPN and traffic selector, or one dial-in client of it: whether it needs a pair of SAs, and when to try for one. */
export class Tunnel {
  readonly policy: PolicyId;
  /** The configured policy: its own, or the one that a client's narrows. */
  readonly template: PolicyId;
  /** The user, for a dial-in client's own tunnel. */
  readonly client: string | undefined;
  readonly vpn: VpnConfig;
  readonly selector: VpnSelectorConfig;
  readonly #owner: TunnelOwner;
  activity: TunnelActivity = 'idle';
  #dueAt: Instant = NEVER;
  #failureCount = 0;
  #restUntil: Instant | undefined;

  /** With `client`, the selector's remote side is that client's address. */
  constructor(vpn: VpnConfig, selector: VpnSelectorConfig, owner: TunnelOwner, client?: string) {
    this.template = policyId(vpn.name, selector.name);
    this.policy = client === undefined ? this.template : clientPolicyId(this.template, selector.remote.addresses.first);
    this.client = client;
    this.vpn = vpn;
    this.selector = selector;
    this.#owner = owner;
  }

  get selectors(): SelectorPair {
    return { local: this.selector.local, remote: this.selector.remote };
  }

  get isImmediate(): boolean {
    // A client comes by itself.
    return this.client === undefined && this.vpn.establishTunnels === 'immediately';
  }

  /** Whether an attempt has failed so recently that traffic should not start the next one. */
  isResting(now: Instant): boolean {
    return this.#restUntil !== undefined && now < this.#restUntil;
  }

  schedule(at: Instant): void {
    this.#dueAt = at;
  }

  handleFailure(now: Instant, triesAgain: boolean, wasRefused: boolean): void {
    this.activity = 'idle';
    const wait = Math.min(RETRY_FIRST * 2 ** Math.min(this.#failureCount, 10), RETRY_LONGEST);
    if (wasRefused) this.#failureCount++;
    this.#restUntil = after(now, milliseconds(wait));
    this.#dueAt = triesAgain ? this.#restUntil : NEVER;
  }

  handleSuccess(): void {
    this.activity = 'idle';
    this.forgetFailures();
    this.#dueAt = NEVER;
  }

  forgetFailures(): void {
    this.#failureCount = 0;
    this.#restUntil = undefined;
  }

  nextTimeout(): Instant {
    return this.activity === 'idle' ? this.#dueAt : NEVER;
  }

  handleTimeout(now: Instant, out: IkeOutbox): void {
    if (now < this.nextTimeout()) return;
    this.#dueAt = NEVER;
    this.#owner.negotiate(now, this, out);
  }
}

/** Who starts what a tunnel needs. */
export interface TunnelOwner {
  negotiate(now: Instant, tunnel: Tunnel, out: IkeOutbox): void;
}
