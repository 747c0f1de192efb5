// What Quick Mode's messages carry besides the SA: selectors, original addresses, lifetimes (RFC 2409 §5.5; RFC 3947 §5.2; RFC 2407 §4.6.3.1).

import { ByteReader } from '../../lib/byte-reader.ts';
import { catchMalformed } from '../../lib/malformed.ts';
import { err, ok, type Result } from '../../lib/result.ts';
import type { Secret } from '../../lib/secret.ts';
import type { IpAddress, UdpPath } from '../../model/address.ts';
import type { IkeRole } from '../../model/ike-event.ts';
import type { Spi } from '../../model/ipsec-sa.ts';
import {
  formatSelector,
  type SelectorPair,
  selectorFromAddress,
  selectorsEqual,
  type TrafficSelector,
} from '../../model/traffic-selector.ts';
import { readAttributes } from '../../wire/isakmp-attributes.ts';
import { PAYLOAD_TYPE } from '../../wire/isakmp-header.ts';
import { decodeSelector, ID_TYPE } from '../../wire/isakmp-identity.ts';
import { NOTIFY_TYPE } from '../../wire/isakmp-notify.ts';
import {
  type DecodedPayload,
  encodePayloadBody,
  encodePayloadChain,
  type Payload,
} from '../../wire/isakmp-payloads.ts';
import { IPSEC_DOI, PROTOCOL_ID } from '../../wire/isakmp-sa-payload.ts';
import { hash1, type Prf } from './key-material.ts';
import { type Refusal, refusal } from './peer-fault.ts';
import {
  type ChosenPhase2,
  lifetimeAttributes,
  readLifetimes,
  spiOctets,
  type UdpEncapsulation,
} from './phase2-proposal.ts';

/** Addresses as a peer sees them from its side of the NATs between (RFC 3947 §5.2). */
export interface OriginalAddresses {
  /** The peer's own. */
  readonly remote: IpAddress;
  /** Ours, as the peer sees it. */
  readonly local: IpAddress;
}

/** `HASH(1)`, then the payloads: what Quick Mode, Informational and Transaction exchanges begin with. */
export function withHash1(
  prf: Prf,
  skeyidA: Secret,
  messageId: number,
  payloads: readonly Payload[],
): readonly Payload[] {
  const { bytes } = encodePayloadChain(payloads);
  return [{ kind: 'hash', data: hash1(prf, skeyidA, messageId, bytes) }, ...payloads];
}

/**
 * What message 1 asks the SA to carry, seen from the responder; without IDs, the traffic of the peers themselves (RFC 2409 §5.5).
 * In transport mode a peer behind a NAT names addresses from its side: those that NAT-OA explains are put into ours.
 */
export function requestedSelectors(payloads: readonly DecodedPayload[], path: UdpPath): Result<SelectorPair, Refusal> {
  const identities = payloads.filter((payload) => payload.kind === 'identification');
  const [idCi, idCr] = identities;
  const [localAddress, remoteAddress] = [path.local.address, path.remote.address];
  if (idCi === undefined) {
    return ok({ local: selectorFromAddress(localAddress), remote: selectorFromAddress(remoteAddress) });
  }
  if (idCr === undefined || identities.length !== 2) return err(refusal('phase2-malformed'));
  const remote = decodeSelector(idCi);
  const local = decodeSelector(idCr);
  if (!remote.ok || !local.ok) return err(refusal('selectors-unacceptable', 'the peer named no address range'));
  const original = originalAddresses(payloads, 'responder');
  return ok({
    local: translate(local.value, original?.local, localAddress),
    remote: translate(remote.value, original?.remote, remoteAddress),
  });
}

export function describeSelectors(selectors: SelectorPair): string {
  return `${formatSelector(selectors.local)} to ${formatSelector(selectors.remote)}`;
}

/** Whether the answer names what we asked for; the IDs come back in the same order (RFC 2409 §5.5). */
export function areSelectorsEchoed(payloads: readonly DecodedPayload[], asked: SelectorPair): boolean {
  const identities = payloads.filter((payload) => payload.kind === 'identification');
  const [idCi, idCr] = identities;
  if (idCi === undefined || idCr === undefined || identities.length !== 2) return false;
  const local = decodeSelector(idCi);
  const remote = decodeSelector(idCr);
  return (
    local.ok && remote.ok && selectorsEqual(local.value, asked.local) && selectorsEqual(remote.value, asked.remote)
  );
}

/** The addresses in NAT-OA payloads: the initiator's comes first, whoever sends them. */
export function originalAddresses(
  payloads: readonly DecodedPayload[],
  ownRole: IkeRole,
): OriginalAddresses | undefined {
  const [initiator, responder] = payloads.flatMap((payload) => {
    return payload.kind === 'nat-original-address' ? [payload.address] : [];
  });
  if (initiator === undefined || responder === undefined) return undefined;
  return ownRole === 'responder' ? { remote: initiator, local: responder } : { remote: responder, local: initiator };
}

/** NAT-OA for transport mode through a NAT: the initiator and the responder as we see them. */
export function originalAddressPayloads(
  path: UdpPath,
  ownRole: IkeRole,
  version: UdpEncapsulation,
): readonly Payload[] {
  const { local, remote } = path;
  const inOrder = ownRole === 'initiator' ? [local.address, remote.address] : [remote.address, local.address];
  const payloadType =
    version === 'rfc-3947' ? PAYLOAD_TYPE['nat-original-address'] : PAYLOAD_TYPE['nat-original-address-draft'];
  return inOrder.map((address) => ({
    kind: 'nat-original-address',
    payloadType,
    idType: address.includes(':') ? ID_TYPE.ID_IPV6_ADDR : ID_TYPE.ID_IPV4_ADDR,
    address,
  }));
}

/** RESPONDER-LIFETIME: what the responder's lifetime really is, where it is shorter than offered (RFC 2407 §4.6.3.1). */
export function responderLifetime(chosen: ChosenPhase2, ownSpi: Spi): Payload {
  const attributes = lifetimeAttributes(chosen.lifetime, chosen.lifetimeKilobytes);
  return {
    kind: 'notification',
    doi: IPSEC_DOI,
    protocolId: PROTOCOL_ID[chosen.protocol],
    spi: spiOctets(ownSpi),
    notifyType: NOTIFY_TYPE['RESPONDER-LIFETIME'],
    // Behind the four octets that a Mode Config payload has in front of its attributes lies the plain list.
    data: encodePayloadBody({ kind: 'attributes', type: 0, identifier: 0, attributes }).subarray(4),
  };
}

/** The lifetimes that the responder says it really keeps. */
export function notifiedLifetimes(payloads: readonly DecodedPayload[]): {
  readonly seconds?: number;
  readonly kilobytes?: number;
} {
  for (const payload of payloads) {
    if (payload.kind !== 'notification' || payload.notifyType !== NOTIFY_TYPE['RESPONDER-LIFETIME']) continue;
    const attributes = catchMalformed(() => readAttributes(new ByteReader(payload.data)));
    if (attributes.ok) return readLifetimes(attributes.value);
  }
  return {};
}

function translate(selector: TrafficSelector, from: IpAddress | undefined, to: IpAddress): TrafficSelector {
  const { first, last } = selector.addresses;
  return first === last && first === from ? { ...selector, addresses: { first: to, last: to } } : selector;
}
