// NAT traversal in IKE (RFC 3947, and its drafts 02 and 03, which differ only in numbers).
// 1. Both sides announce what they speak by vendor ID (§3.1).
// 2. Both send hashes of the addresses and ports that they see (NAT-D, §3.2): a hash that does not fit means a NAT.
// 3. If there is one, the initiator moves to port 4500 with its next message (§4), and ESP goes into UDP there.

import type { CryptoProvider } from '../../crypto/provider.ts';
import { equalBytes } from '../../lib/bytes.ts';
import { addressOctets, type UdpEndpoint, type UdpPath } from '../../model/address.ts';
import type { HashAlgorithm } from '../../model/algorithms.ts';
import type { NatSituation } from '../../model/ike-event.ts';
import type { IpsecMode } from '../../model/ipsec-sa.ts';
import { PAYLOAD_TYPE } from '../../wire/isakmp-header.ts';
import type { DecodedPayload, Payload } from '../../wire/isakmp-payloads.ts';
import type { VendorIdName } from '../../wire/vendor-ids.ts';
import type { Cookies } from './key-material.ts';

/** UDP port of IKE where no NAT was found (RFC 2408 §2.5.1), and behind one (RFC 3947 §4). */
export const IKE_PORT = 500;
export const NAT_TRAVERSAL_PORT = 4500;

/** Which document's numbers are used, best first. */
export const NAT_TRAVERSAL_VERSIONS = [
  'rfc-3947',
  'nat-t-draft-03',
  'nat-t-draft-02',
  'nat-t-draft-02-newline',
] as const;
export type NatTraversalVersion = (typeof NAT_TRAVERSAL_VERSIONS)[number] & VendorIdName;

/** The best version among the peer's vendor IDs. */
export function chooseNatTraversal(names: readonly (VendorIdName | undefined)[]): NatTraversalVersion | undefined {
  return NAT_TRAVERSAL_VERSIONS.find((version) => names.includes(version));
}

export const NO_NAT: NatSituation = { isLocalBehindNat: false, isRemoteBehindNat: false };

export function isNatOnPath(nat: NatSituation): boolean {
  return nat.isLocalBehindNat || nat.isRemoteBehindNat;
}

/** NAT-D payloads for a message on `path`: the peer as we see it, then we as we see ourselves (RFC 3947 §3.2). */
export function natDiscoveryPayloads(
  crypto: CryptoProvider,
  hash: HashAlgorithm,
  version: NatTraversalVersion,
  cookies: Cookies,
  path: UdpPath,
): readonly Payload[] {
  const payloadType = version === 'rfc-3947' ? PAYLOAD_TYPE['nat-discovery'] : PAYLOAD_TYPE['nat-discovery-draft'];
  return [path.remote, path.local].map((endpoint) => ({
    kind: 'nat-discovery',
    payloadType,
    data: endpointHash(crypto, hash, cookies, endpoint),
  }));
}

/** Compares the peer's NAT-D payloads with the path that their message took; without any, no NAT is assumed. */
export function detectNat(
  crypto: CryptoProvider,
  hash: HashAlgorithm,
  cookies: Cookies,
  path: UdpPath,
  payloads: readonly DecodedPayload[],
): NatSituation {
  const hashes = payloads.flatMap((payload) => (payload.kind === 'nat-discovery' ? [payload.data] : []));
  const [ofDestination, ...ofSource] = hashes;
  if (ofDestination === undefined || ofSource.length === 0) return NO_NAT;
  const local = endpointHash(crypto, hash, cookies, path.local);
  const remote = endpointHash(crypto, hash, cookies, path.remote);
  return {
    isLocalBehindNat: !equalBytes(ofDestination, local),
    isRemoteBehindNat: !ofSource.some((candidate) => equalBytes(candidate, remote)),
  };
}

/** The path after the move to port 4500 (RFC 3947 §4). */
export function movedPath(path: UdpPath): UdpPath {
  return {
    local: { address: path.local.address, port: NAT_TRAVERSAL_PORT },
    remote: { address: path.remote.address, port: NAT_TRAVERSAL_PORT },
  };
}

const PLAIN_MODES: Readonly<Record<IpsecMode, number>> = { tunnel: 1, transport: 2 };
const UDP_MODES: Readonly<Record<IpsecMode, number>> = { tunnel: 3, transport: 4 };
const UDP_MODES_DRAFT: Readonly<Record<IpsecMode, number>> = { tunnel: 61_443, transport: 61_444 };

/** The Encapsulation Mode attribute to offer (RFC 2407 §4.5; in UDP: RFC 3947 §5.1). */
export function encapsulationModeNumber(mode: IpsecMode, version: NatTraversalVersion | undefined): number {
  if (version === undefined) return PLAIN_MODES[mode];
  return version === 'rfc-3947' ? UDP_MODES[mode] : UDP_MODES_DRAFT[mode];
}

/** Whether a received number means this mode here. Behind a NAT the RFC's and the drafts' numbers both do: peers mix them. */
export function isEncapsulationMode(value: number, mode: IpsecMode, version: NatTraversalVersion | undefined): boolean {
  if (version === undefined) return value === PLAIN_MODES[mode];
  return value === UDP_MODES[mode] || value === UDP_MODES_DRAFT[mode];
}

/** HASH(CKY-I | CKY-R | IP | Port) (RFC 3947 §3.2). */
function endpointHash(
  crypto: CryptoProvider,
  hash: HashAlgorithm,
  cookies: Cookies,
  endpoint: UdpEndpoint,
): Uint8Array {
  const port = Uint8Array.of(endpoint.port >> 8, endpoint.port & 0xff);
  return crypto.hash(hash, cookies.initiatorCookie, cookies.responderCookie, addressOctets(endpoint.address), port);
}
