// The port between the control plane and whatever carries the packets: commands go in, events come out, both plain data.
// The packet engine in a worker thread, an in-process data plane and, later, the Linux kernel's XFRM stand behind it.

import type { Seconds } from '../lib/time.ts';
import type { IpAddress, UdpPath } from './address.ts';
import type { DfBit, IpsecProtocol, IpsecSa, PolicyId, Spi } from './ipsec-sa.ts';
import type { SelectorPair } from './traffic-selector.ts';

/** One entry of the security policy database (RFC 4301 §4.4.1). Lower `order` is looked at first. */
export interface SecurityPolicy {
  readonly id: PolicyId;
  readonly order: number;
  readonly action: 'discard' | 'bypass' | 'protect';
  readonly selectors: SelectorPair;
  /** Route-based VPN: only packets that were routed into this unit, such as `st0.0`. Absent: policy-based, by selectors alone. */
  readonly tunnelInterface?: string;
  readonly dfBit: DfBit;
  readonly copyOuterDscp: boolean;
  /** Clamp TCP's maximum segment size to this many octets, both ways (Junos `security flow tcp-mss ipsec-vpn`). */
  readonly tcpMss?: number;
  /** Octets of inner packet that the tunnel interface carries. */
  readonly mtu?: number;
  /** TFC padding: shorter packets are made this many octets long, as far as the path carries them (RFC 4303 §2.7). ESP in tunnel mode only. */
  readonly tfcPadding?: number;
  /** A dummy packet leaves whenever nothing else has left for this long (RFC 4303 §2.6). ESP in tunnel mode only. */
  readonly dummyInterval?: Seconds;
}

export type DataPlaneCommand =
  /** The SPI is being negotiated: packets under it are early, not unknown. */
  | {
      readonly kind: 'reserve-spi';
      readonly spi: Spi;
      readonly protocol: IpsecProtocol;
      readonly localAddress: IpAddress;
    }
  | { readonly kind: 'add-inbound'; readonly sa: IpsecSa }
  | { readonly kind: 'add-outbound'; readonly sa: IpsecSa }
  /** From now on, packets of this policy leave under this outbound SA. */
  | { readonly kind: 'use-outbound'; readonly policy: PolicyId; readonly spi: Spi }
  /** Ends an SA, or gives a reserved SPI back. Outbound SAs are named by the peer's SPI and address. */
  | {
      readonly kind: 'remove';
      readonly direction: 'inbound' | 'outbound';
      readonly spi: Spi;
      readonly remoteAddress?: IpAddress;
    }
  | { readonly kind: 'put-policy'; readonly policy: SecurityPolicy }
  | { readonly kind: 'delete-policy'; readonly id: PolicyId }
  /** The peer's address or port changed (NAT rebinding): every SA of this path follows. */
  | { readonly kind: 'move-path'; readonly from: UdpPath; readonly to: UdpPath };

export type DataPlaneEvent =
  /** A packet matched a policy that has no outbound SA. Repeated at most once a second a policy. */
  | { readonly kind: 'acquire'; readonly policy: PolicyId }
  | {
      readonly kind: 'soft-expired';
      readonly direction: 'inbound' | 'outbound';
      readonly spi: Spi;
      readonly policy: PolicyId;
    }
  | {
      readonly kind: 'hard-expired';
      readonly direction: 'inbound' | 'outbound';
      readonly spi: Spi;
      readonly policy: PolicyId;
    }
  /** Authenticated traffic came in on this SA since the last such event. At most once a second an SA: liveness, not accounting. */
  | { readonly kind: 'inbound-traffic'; readonly spi: Spi; readonly policy: PolicyId }
  | { readonly kind: 'outbound-traffic'; readonly spi: Spi; readonly policy: PolicyId }
  /** Authenticated traffic of this SA came from elsewhere than before (NAT rebinding). */
  | {
      readonly kind: 'path-moved';
      readonly spi: Spi;
      readonly policy: PolicyId;
      readonly from: UdpPath;
      readonly to: UdpPath;
    }
  /** An ESP or AH packet with an SPI that nobody has. Rate-limited at the source. */
  | {
      readonly kind: 'unknown-spi';
      readonly spi: Spi;
      readonly protocol: IpsecProtocol;
      readonly localAddress: IpAddress;
      readonly remoteAddress: IpAddress;
      readonly udp?: UdpPath;
    }
  /** A command could not be carried out; the SA that it was for is unusable. */
  | {
      readonly kind: 'refused';
      readonly command: DataPlaneCommand['kind'];
      readonly spi?: Spi;
      readonly reason: string;
    };

/** Counters of one SA, since it was added. */
export interface SaCounters {
  readonly packets: number;
  /** Octets of inner packets. */
  readonly octets: number;
  /** Packets that were dropped after they had found this SA, by cause; absent if there were none. */
  readonly drops?: Readonly<Record<string, number>>;
}
