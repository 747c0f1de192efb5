import type { LadderEvent } from '../src/diagnosis/ladder.ts';
import type { IkeEvent, IkeMessageEvent } from '../src/model/ike-event.ts';

/** What the lab found. The names are those of `sallyport lab --once --json`: later ones may be added, none changes. */
export interface LabReport {
  readonly tunnel: 'up' | 'down';
  /** Why it did not pass; absent if it did. */
  readonly reason?: string;
  readonly ike: { readonly mode: string; readonly datagrams: number };
  readonly quick: { readonly datagrams: number };
  readonly ping: { readonly sent: number; readonly received: number };
  /** 0 where it is not measured: on the in-process network, whose time is virtual. */
  readonly throughputBitsPerSecond: number;
  /** Packets on the wire between the gateways while traffic passed. */
  readonly wire: { readonly esp: number; readonly cleartext: number };
  /** The same with the peer's process held and the SAs cleared: nothing may arrive, nothing may leave in clear. */
  readonly heldDown?: { readonly received: number; readonly cleartext: number };
  readonly substrate: 'namespaces' | 'in-process';
}

/** The messages of the first negotiation, in order: the first phase 1 and the first Quick Mode, without what was sent again. */
export function negotiationOf(events: readonly IkeEvent[]): readonly IkeMessageEvent[] {
  const messages = events.filter((event) => event.kind === 'message').filter((event) => !event.isRepeat);
  const phase1 = messages.find(({ exchange }) => exchange === 'main' || exchange === 'aggressive');
  const phase2 = messages.find(({ exchange }) => exchange === 'quick');
  return messages.filter(
    ({ exchange, initiatorCookie, messageId }) =>
      (exchange === phase1?.exchange && initiatorCookie === phase1.initiatorCookie) ||
      (exchange === 'quick' && messageId === phase2?.messageId),
  );
}

/** The negotiation as a ladder tells it: with what failed, each reason once, so that a lab that fails says what to change. */
export function ladderOf(events: readonly IkeEvent[]): readonly LadderEvent[] {
  const messages = new Set<IkeEvent>(negotiationOf(events));
  const reasons = new Set<string>();
  return events.filter((event): event is LadderEvent => {
    if (event.kind !== 'negotiation-failed') return messages.has(event);
    const isNew = !reasons.has(event.reason);
    reasons.add(event.reason);
    return isNew;
  });
}

/** How many messages phase 1 and phase 2 took. */
export function countDatagrams(messages: readonly IkeMessageEvent[]): Pick<LabReport, 'ike' | 'quick'> {
  const phase1 = messages.filter(({ exchange }) => exchange === 'main' || exchange === 'aggressive');
  return {
    ike: { mode: phase1[0]?.exchange ?? 'none', datagrams: phase1.length },
    quick: { datagrams: messages.filter(({ exchange }) => exchange === 'quick').length },
  };
}

/** Why a report is not a pass, or `undefined` if it is. */
export function whyFailed(report: LabReport): string | undefined {
  const { ping, wire, heldDown } = report;
  if (ping.received === 0) return 'no ping came back through the tunnel';
  if (ping.received < ping.sent) return `${ping.sent - ping.received} of ${ping.sent} pings were lost`;
  if (report.substrate === 'namespaces' && report.throughputBitsPerSecond <= 0)
    return 'no TCP passed through the tunnel';
  if (wire.esp === 0) return 'no ESP was seen on the wire between the gateways';
  if (wire.cleartext > 0) return `${wire.cleartext} packets were seen in clear on the wire`;
  if (heldDown && heldDown.received > 0) return 'pings came back without an SA';
  if (heldDown && heldDown.cleartext > 0) return 'packets left in clear while the tunnel was down';
  return undefined;
}
