// `show security ipsec security-associations` and `… statistics` in Junos' layout, which scripts parse by column.

import type { IpsecStatistics } from '../ipsec/counters.ts';
import { type AddressRange, addressFamily, formatPrefix, rangePrefix } from '../model/address.ts';
import type { IpsecSaStatus } from '../model/ike-event.ts';
import { formatSpi, type PolicyId } from '../model/ipsec-sa.ts';
import type { TrafficSelector } from '../model/traffic-selector.ts';
import { briefEncryption, briefIntegrity, detailEncryption, detailIntegrity } from './algorithm-names.ts';
import type { EngineShare, GatewayStatistics, TunnelEventLine } from './gateway-view.ts';

/** Junos numbers static tunnels from here. */
const FIRST_TUNNEL_ID = 131_073;

/** A pair of lines for each pair of SAs: `<` receives, `>` sends. */
export function renderIpsecSas(sas: readonly IpsecSaStatus[], policies: readonly PolicyId[]): string {
  const tunnels = new Set(sas.map((sa) => sa.policy)).size;
  const totals = `  Total active tunnels: ${tunnels}     Total Ipsec sas: ${sas.length}`;
  if (sas.length === 0) return `${totals}\n`;
  const header = '  ID    Algorithm       SPI      Life:sec/kb  Mon lsys Port  Gateway   ';
  return lines([totals, header, ...sas.flatMap((sa) => briefLines(sa, tunnelId(sa, policies)))]);
}

function briefLines(sa: IpsecSaStatus, id: number): string[] {
  const algorithm = `${sa.protocol.toUpperCase()}:${briefEncryption(sa.encryption)}/${briefIntegrity(sa.integrity)}`;
  const seconds = String(sa.hardLifetimeRemainingSeconds);
  const size = sa.lifetimeKilobytes === undefined ? 'unlim' : String(sa.lifetimeKilobytes);
  // Junos gives the seconds five columns, slash included, before the size.
  const life = `${`${seconds}/`.padEnd(6)}${size}`;
  const rest = `${life} - root ${sa.path.remote.port} ${sa.path.remote.address}`;
  return [
    `  <${id} ${algorithm} ${formatSpi(sa.inboundSpi)} ${rest}`,
    `  >${id} ${algorithm} ${formatSpi(sa.outboundSpi)} ${rest}`,
  ];
}

/** A block for each tunnel, with both directions of each of its pairs of SAs. */
export function renderIpsecSaDetails(
  sas: readonly IpsecSaStatus[],
  policies: readonly PolicyId[],
  eventsOf: (vpn: string) => readonly TunnelEventLine[],
): string {
  const byPolicy = new Map<PolicyId, IpsecSaStatus[]>();
  for (const sa of sas) byPolicy.set(sa.policy, [...(byPolicy.get(sa.policy) ?? []), sa]);
  return lines(
    [...byPolicy.values()].flatMap((pairs) => {
      const [first] = pairs;
      if (first === undefined) return [];
      return [...tunnelHead(first, pairs.length, policies, eventsOf(first.vpn)), ...pairs.flatMap(pairBlock), ''];
    }),
  );
}

function tunnelHead(
  sa: IpsecSaStatus,
  pairs: number,
  policies: readonly PolicyId[],
  events: readonly TunnelEventLine[],
): string[] {
  const binding = sa.tunnelInterface === undefined ? `Policy-name: ${sa.vpn}` : `Bind-interface: ${sa.tunnelInterface}`;
  return [
    `ID: ${tunnelId(sa, policies)} Virtual-system: root, VPN Name: ${sa.vpn}`,
    `  Local Gateway: ${sa.path.local.address}, Remote Gateway: ${sa.path.remote.address}`,
    ...(sa.trafficSelector === undefined ? [] : [`  Traffic Selector Name: ${sa.trafficSelector}`]),
    `  Local Identity: ${identity(sa.selectors.local)}`,
    `  Remote Identity: ${identity(sa.selectors.remote)}`,
    '  Version: IKEv1',
    `  DF-bit: copy, Copy-Outer-DSCP Disabled, ${binding}`,
    `  Port: ${sa.path.remote.port}, Nego#: ${pairs}, Fail#: 0, Def-Del#: 0 Flag: 0x0`,
    `  Multi-sa, Configured SAs# 1, Negotiated SAs#: ${pairs}`,
    '  Tunnel events:',
    ...events.map(({ time, text, count }) => `    ${time}: ${text} (${count} times)`),
  ];
}

function pairBlock(sa: IpsecSaStatus): string[] {
  const size = sa.lifetimeKilobytes === undefined ? ' Unlimited' : `Expires in ${sa.lifetimeKilobytes} kilobytes`;
  const replay = sa.replayWindow === 0 ? 'disabled' : `counter-based enabled, Replay window size: ${sa.replayWindow}`;
  const both = [
    `                              , VPN Monitoring: -`,
    `    Hard lifetime: Expires in ${sa.hardLifetimeRemainingSeconds} seconds`,
    `    Lifesize Remaining: ${size}`,
    `    Soft lifetime: Expires in ${sa.softLifetimeRemainingSeconds} seconds`,
    `    Mode: ${sa.mode === 'tunnel' ? 'Tunnel' : 'Transport'}(0 0), Type: dynamic, State: installed`,
    `    Protocol: ${sa.protocol.toUpperCase()}, Authentication: ${detailIntegrity(sa.integrity)}, Encryption: ${detailEncryption(sa.encryption)}`,
    `    Anti-replay service: ${replay}`,
  ];
  return [
    `  Direction: inbound, SPI: ${formatSpi(sa.inboundSpi)}, AUX-SPI: 0`,
    ...both,
    `  Direction: outbound, SPI: ${formatSpi(sa.outboundSpi)}, AUX-SPI: 0`,
    ...both,
  ];
}

/** The total counters. */
export function renderIpsecStatistics(totals: IpsecStatistics): string {
  const amount = (label: string, value: number): string => `  ${`${label}:`.padEnd(18)}${String(value).padStart(15)}`;
  return lines([
    'ESP Statistics:',
    amount('Encrypted bytes', totals.espEncryptedBytes),
    amount('Decrypted bytes', totals.espDecryptedBytes),
    amount('Encrypted packets', totals.espEncryptedPackets),
    amount('Decrypted packets', totals.espDecryptedPackets),
    'AH Statistics:',
    amount('Input bytes', totals.ahInputBytes),
    amount('Output bytes', totals.ahOutputBytes),
    amount('Input packets', totals.ahInputPackets),
    amount('Output packets', totals.ahOutputPackets),
    'Errors:',
    `  AH authentication failures: ${totals.ahAuthenticationFailures}, Replay errors: ${totals.replayErrors}`,
    `  ESP authentication failures: ${totals.espAuthenticationFailures}, ESP decryption failures: ${totals.espDecryptionFailures}`,
    `  Bad headers: ${totals.badHeaders}, Bad trailers: ${totals.badTrailers}`,
    `  Invalid SPI: ${totals.invalidSpi}, TS check fail: ${totals.tsCheckFail}`,
    `  Exceeds tunnel MTU: ${totals.exceedsTunnelMtu}`,
    `  Discarded: ${totals.discarded}`,
  ]);
}

/** What Junos does not print: why packets were dropped, each cause that there was, and what passed without a tunnel or was a dummy. */
export function renderDropCauses(totals: Partial<GatewayStatistics>): string {
  const { drops, bypassedPackets = 0, dummyPackets = 0, dummiesSent = 0, engines } = totals;
  const causes = Object.entries(drops ?? {}).filter(([, count]) => count > 0);
  return lines([
    'Dropped, by cause:',
    ...(causes.length === 0 ? ['  none'] : causes.map(([cause, count]) => `  ${cause}: ${count}`)),
    'Others:',
    `  Bypassed: ${bypassedPackets}, Dummies received: ${dummyPackets}, Dummies sent: ${dummiesSent}`,
    ...(engines ? ['Packet engines:', ...engines.map(engineLine)] : []),
  ]);
}

function engineLine(share: EngineShare, engine: number): string {
  const sent = share.espEncryptedPackets + share.ahOutputPackets;
  const received = share.espDecryptedPackets + share.ahInputPackets;
  return `  ${engine}: Packets sent: ${sent}, Packets received: ${received}`;
}

/** The policy whose tunnel has this ID. */
export function tunnelPolicy(id: number, policies: readonly PolicyId[]): PolicyId | undefined {
  return policies[id - FIRST_TUNNEL_ID];
}

function tunnelId(sa: IpsecSaStatus, policies: readonly PolicyId[]): number {
  return FIRST_TUNNEL_ID + Math.max(0, policies.indexOf(sa.policy));
}

/** `ipv4_subnet(any:0,[0..7]=10.1.0.0/24)`: kind, protocol and port, and the octets that the identity has on the wire. */
function identity(selector: TrafficSelector): string {
  const family = addressFamily(selector.addresses.first);
  const protocol = selector.protocol === 0 ? 'any' : String(selector.protocol);
  const port = selector.ports.first === selector.ports.last ? selector.ports.first : 0;
  const { kind, octets, text } = identityForm(selector.addresses, family === 4 ? 4 : 16);
  return `ipv${family}${kind}(${protocol}:${port},[0..${octets - 1}]=${text})`;
}

function identityForm(range: AddressRange, length: number): { kind: string; octets: number; text: string } {
  if (range.first === range.last) return { kind: '', octets: length, text: range.first };
  const prefix = rangePrefix(range);
  if (prefix) return { kind: '_subnet', octets: length * 2, text: formatPrefix(prefix) };
  return { kind: '_range', octets: length * 2, text: `${range.first}-${range.last}` };
}

function lines(all: readonly string[]): string {
  return all.map((line) => `${line}\n`).join('');
}
