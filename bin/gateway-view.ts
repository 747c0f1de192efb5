import { selectorPolicyId } from '../src/gateway/policies.ts';
import { monotonicNow } from '../src/host/event-loop.ts';
import type { RunningGateway } from '../src/host/run.ts';
import { Counters } from '../src/ipsec/counters.ts';
import type { Instant } from '../src/lib/time.ts';
import type { GatewayView } from '../src/operations/gateway-view.ts';

/** A running gateway as its operator's commands see it. */
export function gatewayViewOf(running: RunningGateway): GatewayView {
  const { gateway } = running;
  return {
    ikeSas: () => gateway.ikeSas(monotonicNow()),
    ipsecSas: () => gateway.ipsecSas(monotonicNow()),
    policies: () =>
      gateway.config.vpns.flatMap((vpn) => vpn.selectors.map((selector) => selectorPolicyId(vpn, selector))),
    tunnelEvents: (vpn) =>
      gateway.tunnelEvents(vpn).map(({ at, text, count }) => ({ time: formatTime(at), text, count })),
    statistics: (policy) => {
      const { counters, engines, sas } = running.counters();
      const shares = engines.length > 1 ? { engines: engines.map(({ dataPlane }) => dataPlane) } : {};
      if (policy === undefined) return { ...counters.dataPlane, ...shares };
      const own = new Counters();
      for (const { sa, inbound, outbound } of sas.filter((each) => each.sa.policy === policy)) {
        if (inbound) own.addSa(sa.protocol, 'inbound', inbound);
        if (outbound) own.addSa(sa.protocol, 'outbound', outbound);
      }
      return own.snapshot();
    },
    clearIke: (filter) => running.act((now, out) => gateway.clearIke(now, filter, out)),
    clearIpsec: (filter) => running.act((now, out) => gateway.clearIpsec(now, filter, out)),
  };
}

/** In Junos' form: `Sat Feb 14 2026 20:53:59 +0000`. */
function formatTime(at: Instant): string {
  const date = new Date(Date.now() - (monotonicNow() - at));
  const [weekday, day, month, year, time] = date.toUTCString().replace(',', '').split(' ');
  return `${weekday} ${month} ${day} ${year} ${time} +0000`;
}
