import type { DataPlaneCounters, IpsecStatistics } from '../ipsec/counters.ts';
import type { IpAddress } from '../model/address.ts';
import type { IkeSaStatus, IpsecSaStatus } from '../model/ike-event.ts';
import type { PolicyId, Spi } from '../model/ipsec-sa.ts';

/** What each of several packet engines has carried. */
export type EngineShare = Pick<
  IpsecStatistics,
  'espEncryptedPackets' | 'espDecryptedPackets' | 'ahInputPackets' | 'ahOutputPackets'
>;

/** The totals that Junos prints, and what this data plane knows besides; the engines only in total, and where there are several. */
export type GatewayStatistics = IpsecStatistics &
  Partial<DataPlaneCounters> & { readonly engines?: readonly EngineShare[] };

/** What an operator's commands see of a running gateway, and may do to it. The host implements it. */
export interface GatewayView {
  ikeSas(): readonly IkeSaStatus[];
  ipsecSas(): readonly IpsecSaStatus[];
  /** Every configured policy in order: a tunnel's ID comes from its place, so that it stays while the tunnel is down. */
  policies(): readonly PolicyId[];
  /** Newest first. */
  tunnelEvents(vpn: string): readonly TunnelEventLine[];
  /** In total, or of one policy's SAs as they are now. Not every data plane knows more than Junos prints. */
  statistics(policy?: PolicyId): GatewayStatistics;
  /** Return how many SAs they ended; the peers are told. */
  clearIke(filter: { readonly index?: number; readonly remoteAddress?: IpAddress }): number;
  clearIpsec(filter: { readonly spi?: Spi; readonly vpn?: string }): number;
}

/** One line under "Tunnel events". */
export interface TunnelEventLine {
  /** As it is to be printed. */
  readonly time: string;
  readonly text: string;
  readonly count: number;
}
