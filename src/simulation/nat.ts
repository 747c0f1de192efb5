// A network address translator that behaves as RFC 4787 asks: endpoint-independent mapping (REQ-1), one of the three filtering
// behaviours (§5), mappings that time out (REQ-5) and are refreshed from the inside (REQ-6). It can forget on demand, as real ones do.

import { after, type Instant, type Milliseconds } from '../lib/time.ts';
import { formatEndpoint, type IpAddress, type UdpEndpoint } from '../model/address.ts';
import type { Chance } from './chance.ts';

/** RFC 4787 §5: who may answer through a mapping. */
export type NatFiltering = 'endpoint-independent' | 'address-dependent' | 'address-and-port-dependent';

export interface NatOptions {
  readonly outside: IpAddress;
  readonly filtering: NatFiltering;
  /** How long a mapping lives without traffic from the inside. */
  readonly mappingTimeout: Milliseconds;
  /** Whether the outside port is the inside one where that is free (RFC 4787 §4.2.1). */
  readonly preservesPorts: boolean;
}

interface Mapping {
  readonly inside: UdpEndpoint;
  readonly outsidePort: number;
  expiresAt: Instant;
  /** Everyone that the inside has sent to through this mapping, as `address` and `address:port`. */
  readonly contacted: Set<string>;
}

const DYNAMIC_PORT_MIN = 1024;
const DYNAMIC_PORT_MAX = 65_535;

/** One translator, and whoever is behind it. */
export class Nat {
  readonly outside: IpAddress;
  readonly #options: NatOptions;
  readonly #chance: Chance;
  readonly #byInside = new Map<string, Mapping>();
  readonly #byOutsidePort = new Map<number, Mapping>();

  constructor(options: NatOptions, chance: Chance) {
    this.outside = options.outside;
    this.#options = options;
    this.#chance = chance;
  }

  /** The source that the outside sees; makes a mapping where there is none. */
  translateOutbound(now: Instant, source: UdpEndpoint, destination: UdpEndpoint): UdpEndpoint {
    const mapping = this.#live(now, this.#byInside.get(formatEndpoint(source))) ?? this.#map(now, source);
    mapping.expiresAt = after(now, this.#options.mappingTimeout);
    mapping.contacted.add(destination.address).add(formatEndpoint(destination));
    return { address: this.outside, port: mapping.outsidePort };
  }

  /** Where a packet to the outside address goes, or `undefined` if the translator does not let it in. */
  translateInbound(now: Instant, source: UdpEndpoint, destination: UdpEndpoint): UdpEndpoint | undefined {
    const mapping = this.#live(now, this.#byOutsidePort.get(destination.port));
    if (mapping === undefined || !this.#admits(mapping, source)) return undefined;
    return mapping.inside;
  }

  /** Forgets every mapping, as after a reboot: the inside appears under other ports from now on. */
  rebind(): void {
    this.#byInside.clear();
    this.#byOutsidePort.clear();
  }

  #admits(mapping: Mapping, source: UdpEndpoint): boolean {
    switch (this.#options.filtering) {
      case 'endpoint-independent':
        return true;
      case 'address-dependent':
        return mapping.contacted.has(source.address);
      case 'address-and-port-dependent':
        return mapping.contacted.has(formatEndpoint(source));
    }
  }

  #live(now: Instant, mapping: Mapping | undefined): Mapping | undefined {
    if (mapping === undefined || mapping.expiresAt > now) return mapping;
    this.#byInside.delete(formatEndpoint(mapping.inside));
    this.#byOutsidePort.delete(mapping.outsidePort);
    return undefined;
  }

  #map(now: Instant, inside: UdpEndpoint): Mapping {
    const isPreserved = this.#options.preservesPorts && !this.#byOutsidePort.has(inside.port);
    const outsidePort = isPreserved ? inside.port : this.#freePort();
    const expiresAt = after(now, this.#options.mappingTimeout);
    const mapping: Mapping = { inside, outsidePort, expiresAt, contacted: new Set() };
    this.#byInside.set(formatEndpoint(inside), mapping);
    this.#byOutsidePort.set(outsidePort, mapping);
    return mapping;
  }

  #freePort(): number {
    for (;;) {
      const port = this.#chance.integer(DYNAMIC_PORT_MIN, DYNAMIC_PORT_MAX);
      if (!this.#byOutsidePort.has(port)) return port;
    }
  }
}
