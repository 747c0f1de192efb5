// `show security ike security-associations` in Junos' layout, which scripts parse by column.

import { formatEndpoint } from '../model/address.ts';
import type { IkeSaStatus } from '../model/ike-event.ts';
import { IKE_HASHES, ikeDhGroup, ikeEncryption } from './algorithm-names.ts';

/** One line for each SA; the header ends in spaces, as Junos' does. Nothing at all without SAs. */
export function renderIkeSas(sas: readonly IkeSaStatus[]): string {
  if (sas.length === 0) return '';
  const header = 'Index   State  Initiator cookie  Responder cookie  Mode           Remote Address   ';
  return lines([header, ...sas.map(briefLine)]);
}

function briefLine(sa: IkeSaStatus): string {
  // An index of eight digits takes the state column's leading space, and the cookie stays where it was.
  const head = `${String(sa.index).padEnd(7)} ${sa.state.toUpperCase()}`.padEnd(15);
  return `${head}${sa.initiatorCookie}  ${sa.responderCookie}  ${exchangeType(sa).padEnd(15)}${sa.path.remote.address}`;
}

/** A block for each SA. */
export function renderIkeSaDetails(sas: readonly IkeSaStatus[]): string {
  return lines(sas.flatMap(detailBlock));
}

function detailBlock(sa: IkeSaStatus): string[] {
  const ends = `Local: ${formatEndpoint(sa.path.local)}, Remote: ${formatEndpoint(sa.path.remote)}`;
  return [
    `IKE peer ${sa.path.remote.address}, Index ${sa.index}, Gateway Name: ${sa.gateway}`,
    `  Role: ${sa.role === 'initiator' ? 'Initiator' : 'Responder'}, State: ${sa.state.toUpperCase()}`,
    `  Initiator cookie: ${sa.initiatorCookie}, Responder cookie: ${sa.responderCookie}`,
    `  Exchange type: ${exchangeType(sa)}, Authentication method: ${authenticationMethod(sa)}`,
    `  ${ends}`,
    `  Lifetime: ${sa.lifetimeRemainingSeconds === undefined ? 'Unlimited' : `Expires in ${sa.lifetimeRemainingSeconds} seconds`}`,
    '  Reauth Lifetime: Disabled',
    `  Peer ike-id: ${sa.remoteIdentity ?? 'not available'}`,
    ...(sa.xauthUser === undefined ? [] : [`  XAUTH username: ${sa.xauthUser}`]),
    `  AAA assigned IP: ${sa.assignedAddress ?? '0.0.0.0'}`,
    ...algorithmLines(sa),
    ...trafficLines(sa),
    `  IPSec security associations: ${sa.ipsecSasCreated} created, ${sa.ipsecSasDeleted} deleted`,
    `  Phase 2 negotiations in progress: ${sa.phase2InProgress}`,
    '',
    `    Negotiation type: Quick mode, Role: ${sa.role === 'initiator' ? 'Initiator' : 'Responder'}, Message ID: 0`,
    `    ${ends}`,
    `    Local identity: ${sa.localIdentity ?? 'not available'}`,
    `    Remote identity: ${sa.remoteIdentity ?? 'not available'}`,
    `    Flags: ${sa.state === 'up' ? 'IKE SA is created' : 'IKE SA is not created'}`,
    '',
  ];
}

function algorithmLines(sa: IkeSaStatus): string[] {
  const hash = sa.hash && IKE_HASHES[sa.hash];
  return [
    '  Algorithms:',
    `   Authentication        : ${hash?.integrity ?? '-'} `,
    `   Encryption            : ${sa.encryption ? ikeEncryption(sa.encryption) : '-'}`,
    `   Pseudo random function: ${hash?.prf ?? '-'}`,
    `   Diffie-Hellman group  : ${sa.dhGroup ? ikeDhGroup(sa.dhGroup) : '-'}`,
  ];
}

function trafficLines(sa: IkeSaStatus): string[] {
  const { inputOctets, outputOctets, inputPackets, outputPackets } = sa.traffic;
  // The spelling of "fragmentated" is Junos' own.
  return [
    '  Traffic statistics:',
    `   Input  bytes  : ${String(inputOctets).padStart(20)}`,
    `   Output bytes  : ${String(outputOctets).padStart(20)}`,
    `   Input  packets: ${String(inputPackets).padStart(20)}`,
    `   Output packets: ${String(outputPackets).padStart(20)}`,
    `   Input  fragmentated packets: ${String(0).padStart(7)}`,
    `   Output fragmentated packets: ${String(0).padStart(7)}`,
  ];
}

function exchangeType(sa: IkeSaStatus): string {
  return sa.mode === 'main' ? 'Main' : 'Aggressive';
}

function authenticationMethod(sa: IkeSaStatus): string {
  const method = sa.authenticationMethod ?? 'pre-shared-keys';
  return method.charAt(0).toUpperCase() + method.slice(1);
}

function lines(all: readonly string[]): string {
  return all.map((line) => `${line}\n`).join('');
}
