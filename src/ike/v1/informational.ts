// Informational exchanges: notifications and deletions (RFC 2409 §5.7; RFC 2408 §3.14, §3.15; RFC 3706 §5.3). Payloads in, payloads out.

import { concat } from '../../lib/bytes.ts';
import type { IpsecProtocol, Spi } from '../../model/ipsec-sa.ts';
import { NOTIFY_TYPE } from '../../wire/isakmp-notify.ts';
import type { DecodedPayload, NotificationPayload, Payload } from '../../wire/isakmp-payloads.ts';
import { IPSEC_DOI, PROTOCOL_ID } from '../../wire/isakmp-sa-payload.ts';
import type { Cookies } from './key-material.ts';
import { readSpi, spiOctets } from './phase2-proposal.ts';

const COOKIES_LENGTH = 16;
const SEQUENCE_LENGTH = 4;

/** What one authenticated Informational payload asks of us. */
export type Notice =
  | { readonly kind: 'delete-isakmp'; readonly cookies: readonly Uint8Array[] }
  | { readonly kind: 'delete-ipsec'; readonly protocol: IpsecProtocol; readonly spis: readonly Spi[] }
  | { readonly kind: 'are-you-there'; readonly sequence: number }
  | { readonly kind: 'i-am-here'; readonly sequence: number }
  | { readonly kind: 'initial-contact' }
  | { readonly kind: 'invalid-spi'; readonly spi: Spi }
  | { readonly kind: 'other'; readonly payload: NotificationPayload };

/** The notices in a message, in order; payloads that ask nothing of us are left out. */
export function readNotices(payloads: readonly DecodedPayload[]): readonly Notice[] {
  return payloads.flatMap((payload) => {
    if (payload.kind === 'delete') return readDelete(payload.protocolId, payload.spiSize, payload.spis);
    return payload.kind === 'notification' ? [readNotification(payload)] : [];
  });
}

export function deleteIsakmpPayload(cookies: Cookies): Payload {
  const spis = [concat(cookies.initiatorCookie, cookies.responderCookie)];
  return { kind: 'delete', doi: IPSEC_DOI, protocolId: PROTOCOL_ID.isakmp, spiSize: COOKIES_LENGTH, spis };
}

/** The SPIs are ours: those under which the peer sends (RFC 2408 §3.15). */
export function deleteIpsecPayload(protocol: IpsecProtocol, spis: readonly Spi[]): Payload {
  return { kind: 'delete', doi: IPSEC_DOI, protocolId: PROTOCOL_ID[protocol], spiSize: 4, spis: spis.map(spiOctets) };
}

/** R-U-THERE or its acknowledgement (RFC 3706 §5.3). */
export function liveliness(type: 'R-U-THERE' | 'R-U-THERE-ACK', cookies: Cookies, sequence: number): Payload {
  const data = Uint8Array.of(sequence >>> 24, (sequence >>> 16) & 0xff, (sequence >>> 8) & 0xff, sequence & 0xff);
  return { ...isakmpNotification(NOTIFY_TYPE[type], cookies), data };
}

/** A notification about an ISAKMP SA or exchange, named by its cookies. */
export function isakmpNotification(notifyType: number, cookies: Cookies): NotificationPayload {
  const spi = concat(cookies.initiatorCookie, cookies.responderCookie);
  return {
    kind: 'notification',
    doi: IPSEC_DOI,
    protocolId: PROTOCOL_ID.isakmp,
    spi,
    notifyType,
    data: new Uint8Array(0),
  };
}

/** A notification about an IPsec SA, or a negotiation for one. */
export function ipsecNotification(notifyType: number, protocol: IpsecProtocol, spi: Spi): NotificationPayload {
  return {
    kind: 'notification',
    doi: IPSEC_DOI,
    protocolId: PROTOCOL_ID[protocol],
    spi: spiOctets(spi),
    notifyType,
    data: new Uint8Array(0),
  };
}

/** Errors that a peer may rightly answer to a header that somebody else has written: they say nothing of what we have sent. */
const PROVOCABLE: ReadonlySet<number> = new Set([
  NOTIFY_TYPE['INVALID-COOKIE'],
  NOTIFY_TYPE['INVALID-MAJOR-VERSION'],
  NOTIFY_TYPE['INVALID-MINOR-VERSION'],
  NOTIFY_TYPE['INVALID-EXCHANGE-TYPE'],
  NOTIFY_TYPE['INVALID-MESSAGE-ID'],
  NOTIFY_TYPE['UNSUPPORTED-EXCHANGE-TYPE'],
]);

/** Whether this error is about a header, which nothing authenticates (RFC 2408 §5.2): it must not end an exchange of ours. */
export function isProvocable(notifyType: number): boolean {
  return PROVOCABLE.has(notifyType);
}

function readDelete(protocolId: number, spiSize: number, spis: readonly Uint8Array[]): readonly Notice[] {
  if (protocolId === PROTOCOL_ID.isakmp) {
    return spiSize === COOKIES_LENGTH ? [{ kind: 'delete-isakmp', cookies: spis }] : [];
  }
  const protocol = ipsecProtocol(protocolId);
  if (protocol === undefined) return [];
  return [{ kind: 'delete-ipsec', protocol, spis: spis.flatMap((octets) => readSpi(octets) ?? []) }];
}

function readNotification(payload: NotificationPayload): Notice {
  switch (payload.notifyType) {
    case NOTIFY_TYPE['R-U-THERE']:
    case NOTIFY_TYPE['R-U-THERE-ACK']: {
      if (payload.data.length !== SEQUENCE_LENGTH) return { kind: 'other', payload };
      const sequence = new DataView(payload.data.buffer, payload.data.byteOffset, SEQUENCE_LENGTH).getUint32(0);
      const kind = payload.notifyType === NOTIFY_TYPE['R-U-THERE'] ? 'are-you-there' : 'i-am-here';
      return { kind, sequence };
    }
    case NOTIFY_TYPE['INITIAL-CONTACT']:
      return { kind: 'initial-contact' };
    case NOTIFY_TYPE['INVALID-SPI']: {
      // Some peers put the SPI into the data instead of where it belongs.
      const spi = readSpi(payload.spi) ?? readSpi(payload.data);
      return spi === undefined ? { kind: 'other', payload } : { kind: 'invalid-spi', spi };
    }
    default:
      return { kind: 'other', payload };
  }
}

function ipsecProtocol(protocolId: number): IpsecProtocol | undefined {
  if (protocolId === PROTOCOL_ID.esp) return 'esp';
  return protocolId === PROTOCOL_ID.ah ? 'ah' : undefined;
}
