import type { IpAddress, UdpPath } from './address.ts';
import type { EncryptionAlgorithm, IntegrityAlgorithm } from './algorithms.ts';
import type { SelectorPair } from './traffic-selector.ts';

declare const brand: unique symbol;

/** Security Parameters Index, in host byte order (RFC 4303 §2.1). 0 means "none yet"; 1 to 255 are reserved. */
export type Spi = number & { readonly [brand]: 'Spi' };

export const SPI_MIN = 256;

export function spi(value: number): Spi {
  return (value >>> 0) as Spi;
}

/** Lower-case hexadecimal without leading zeros, as Junos prints it. */
export function formatSpi(value: Spi): string {
  return value.toString(16);
}

export type IpsecProtocol = 'esp' | 'ah';
export type IpsecMode = 'tunnel' | 'transport';
export type DfBit = 'copy' | 'set' | 'clear';

/** What wears an SA out. Soft limits ask for a rekey, hard ones end the SA. Absent means no such limit. */
export interface SaLifetime {
  readonly softSeconds?: number;
  readonly hardSeconds?: number;
  readonly softKilobytes?: number;
  readonly hardKilobytes?: number;
  readonly softPackets?: number;
  readonly hardPackets?: number;
}

/**
 * One direction of a negotiated SA, complete: everything that the data plane must know of it.
 * Crosses threads as a message, so it is plain data; it holds keys, so it is never logged or shown.
 */
export interface IpsecSa {
  readonly direction: 'inbound' | 'outbound';
  readonly protocol: IpsecProtocol;
  readonly spi: Spi;
  readonly mode: IpsecMode;
  /** The policy (VPN and traffic selector) that this SA serves. */
  readonly policy: PolicyId;
  readonly localAddress: IpAddress;
  readonly remoteAddress: IpAddress;
  /** UDP encapsulation (RFC 3948) over this path; absent means IP protocol 50 or 51 directly. */
  readonly udp?: UdpPath;
  readonly encryption: EncryptionAlgorithm;
  /** Key followed by salt; the lengths are in `ENCRYPTION`. */
  readonly encryptionKey: Uint8Array;
  readonly integrity: IntegrityAlgorithm;
  readonly integrityKey: Uint8Array;
  readonly selectors: SelectorPair;
  readonly extendedSequenceNumbers: boolean;
  /** Packets that the anti-replay window spans; 0 switches the check off. */
  readonly replayWindow: number;
  readonly lifetime: SaLifetime;
  /**
   * In a bundle (RFC 2408 §4.2: ESP and AH in one proposal): the SPI of the AH that goes around this ESP, in the same direction.
   * The AH SA has the same policy; `use-outbound` names the ESP SA.
   */
  readonly wrappedInAh?: Spi;
  /** In transport mode behind NAT: the addresses that the peers see themselves as (RFC 3947 §5.2). */
  readonly originalAddresses?: { readonly local: IpAddress; readonly remote: IpAddress };
}

/**
 * Names a policy on both sides of the data-plane port: VPN name, and traffic selector name where there is one (`vpn` or `vpn/ts`);
 * for a dial-in client followed by its address (`vpn@10.9.0.1`).
 */
export type PolicyId = string & { readonly [brand]: 'PolicyId' };

export function policyId(vpn: string, trafficSelector?: string): PolicyId {
  return (trafficSelector === undefined ? vpn : `${vpn}/${trafficSelector}`) as PolicyId;
}

/** The policy of one dial-in client, which narrows the configured one to the client's address. */
export function clientPolicyId(template: PolicyId, address: IpAddress): PolicyId {
  return `${template}@${address}` as PolicyId;
}
