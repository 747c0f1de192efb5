import { ANY_PORT, type PortRange } from '../model/traffic-selector.ts';
import type { Compilation, Statement } from './compilation.ts';

/** IP protocols by the names that Junos gives them (IANA's numbers). */
const PROTOCOLS: ReadonlyMap<string, number> = new Map([
  ['any', 0],
  ['icmp', 1],
  ['igmp', 2],
  ['ipip', 4],
  ['tcp', 6],
  ['egp', 8],
  ['udp', 17],
  ['rsvp', 46],
  ['gre', 47],
  ['esp', 50],
  ['ah', 51],
  ['icmp6', 58],
  ['ospf', 89],
  ['pim', 103],
  ['sctp', 132],
]);

export interface Service {
  readonly protocol: number;
  readonly ports: PortRange;
}

export function protocolNumber(word: string): number | undefined {
  const known = PROTOCOLS.get(word);
  if (known !== undefined) return known;
  return /^\d{1,3}$/.test(word) && Number(word) <= 255 ? Number(word) : undefined;
}

/** `service` of a proxy identity: `any`, or an application defined under `applications`. Another one is reported. */
export function resolveService(compilation: Compilation, proxy: Statement): Service | undefined {
  const name = proxy.value('service') ?? 'any';
  if (name === 'any') return { protocol: 0, ports: ANY_PORT };
  const application = compilation.root.at('applications', 'application', name);
  const protocol = protocolNumber(application?.value('protocol') ?? '');
  const [first = '', last = first] = (application?.value('destination-port') ?? '0-65535').split('-');
  if (application !== undefined && protocol !== undefined && /^\d+$/.test(first) && /^\d+$/.test(last)) {
    return { protocol, ports: { first: Number(first), last: Number(last) } };
  }
  compilation.error(
    proxy.at('service') ?? proxy,
    `service '${name}' is not defined under applications with a protocol (names of Junos' own are not known)`,
    `set applications application ${name} protocol tcp`,
  );
  return undefined;
}
