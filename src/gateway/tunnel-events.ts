// What happened to each VPN of late, in the words that Junos prints under "Tunnel events": equal lines are counted, the newest is first.

import type { Instant } from '../lib/time.ts';
import type { GatewayConfig } from '../model/gateway-config.ts';
import type { IkeEvent, NegotiationFailedEvent, SaEndReason } from '../model/ike-event.ts';

/** One line of a VPN's history. */
export interface TunnelEvent {
  /** When it happened last. */
  readonly at: Instant;
  readonly text: string;
  readonly count: number;
}

/** Different lines kept for each VPN; the one that happened longest ago goes first. */
const TUNNEL_EVENTS_MAX = 16;

const IKE_SA_ENDS: Partial<Record<SaEndReason, string>> = {
  cleared: 'User cleared IKE SA from CLI, corresponding IPSec SAs cleared',
  'peer-dead': 'DPD detected peer as down. Existing IKE/IPSec SAs cleared',
  'configuration-changed': 'Tunnel configuration changed. Corresponding IKE/IPSec SAs are deleted',
  'peer-deleted': 'IKE SA delete payload received from peer, corresponding IPSec SAs cleared',
  'peer-restarted': 'Peer restarted. Existing IKE/IPSec SAs cleared',
  replaced: 'User logged in from elsewhere. Existing IKE/IPSec SAs cleared',
};

const IPSEC_SA_ENDS: Partial<Record<SaEndReason, string>> = {
  cleared: 'User cleared IPSec SA from CLI',
  'peer-deleted': 'IPSec SA delete payload received from peer, corresponding IPSec SAs cleared',
  'configuration-changed': 'Tunnel configuration changed. Corresponding IKE/IPSec SAs are deleted',
  idle: 'IPSec SA idle timeout. Corresponding IPSec SAs cleared',
};

/** The histories of all configured VPNs, bounded in both directions: by the configuration and by `TUNNEL_EVENTS_MAX`. */
export class TunnelEvents {
  #histories = new Map<string, Map<string, TunnelEvent>>();
  #vpnsByGateway = new Map<string, string[]>();

  /** Keeps the history of every VPN that stays; a new one starts by saying that it is ready. */
  applyConfig(now: Instant, config: GatewayConfig): void {
    const histories = new Map<string, Map<string, TunnelEvent>>();
    const vpnsByGateway = new Map<string, string[]>();
    for (const vpn of config.vpns) {
      histories.set(vpn.name, this.#histories.get(vpn.name) ?? newHistory(now));
      const siblings = vpnsByGateway.get(vpn.gateway);
      if (siblings) siblings.push(vpn.name);
      else vpnsByGateway.set(vpn.gateway, [vpn.name]);
    }
    this.#histories = histories;
    this.#vpnsByGateway = vpnsByGateway;
  }

  handleEvent(now: Instant, event: IkeEvent): void {
    const text = tunnelEventText(event);
    if (text === undefined) return;
    for (const vpn of this.#concerned(event)) {
      const history = this.#histories.get(vpn);
      if (history) record(history, now, text);
    }
  }

  /** A VPN's history, newest first; empty for a VPN that is not configured. */
  of(vpn: string): readonly TunnelEvent[] {
    return [...(this.#histories.get(vpn)?.values() ?? [])].reverse();
  }

  #concerned(event: IkeEvent): readonly string[] {
    if ('vpn' in event && event.vpn !== undefined) return [event.vpn];
    if ('gateway' in event && event.gateway !== undefined) return this.#vpnsByGateway.get(event.gateway) ?? [];
    return [];
  }
}

/** Junos' line for an event, or `undefined` for one that has none. */
function tunnelEventText(event: IkeEvent): string | undefined {
  switch (event.kind) {
    case 'ike-sa-established':
      return `IKE SA ${event.isRekey ? 'rekey' : 'negotiation'} successfully completed`;
    case 'ipsec-sa-established':
      return `IPSec SA ${event.isRekey ? 'rekey' : 'negotiation'} successfully completed`;
    case 'ike-sa-deleted':
      return IKE_SA_ENDS[event.reason];
    case 'ipsec-sa-deleted':
      return IPSEC_SA_ENDS[event.reason];
    case 'negotiation-failed':
      return failureText(event);
    default:
      return undefined;
  }
}

function failureText(event: NegotiationFailedEvent): string {
  if (event.reason === 'timed-out') return 'No response from peer. Negotiation failed';
  return `Negotiation failed with error code ${event.reason.toUpperCase().replaceAll('-', '_')}`;
}

function newHistory(now: Instant): Map<string, TunnelEvent> {
  const history = new Map<string, TunnelEvent>();
  record(history, now, 'Tunnel is ready. Waiting for trigger event or peer to trigger negotiation');
  return history;
}

// A Map keeps the order of insertion, so a line that happens again is taken out and put in at the end.
function record(history: Map<string, TunnelEvent>, now: Instant, text: string): void {
  const count = (history.get(text)?.count ?? 0) + 1;
  history.delete(text);
  history.set(text, { at: now, text, count });
  if (history.size <= TUNNEL_EVENTS_MAX) return;
  for (const oldest of history.keys()) {
    history.delete(oldest);
    return;
  }
}
