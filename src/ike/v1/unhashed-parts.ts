// What HASH_I and HASH_R do not cover in the last messages of phase 1: notifications and padding (RFC 2409 §5). Nothing there is to be
// trusted, but the last block of such a message is the next one's IV (RFC 2409 Appendix B): whoever accepts a damaged one, and with it
// another IV than its sender has, loses the SA that was just made, for which the true message then comes too late.

import { concat, equalBytes } from '../../lib/bytes.ts';
import { NOTIFY_TYPE } from '../../wire/isakmp-notify.ts';
import type { DecodedPayload, NotificationPayload } from '../../wire/isakmp-payloads.ts';
import { IPSEC_DOI } from '../../wire/isakmp-sa-payload.ts';
import type { Cookies } from './key-material.ts';

/** Of notifications about ISAKMP itself (RFC 2408 §3.14). */
const GENERIC_DOI = 0;

/** Whether notifications and padding read as senders write them. If not, the message may be damaged, or its sender a peculiar one. */
export function looksWhole(payloads: readonly DecodedPayload[], padding: Uint8Array, cookies: Cookies): boolean {
  return isUsualPadding(padding) && payloads.every((payload) => isUsualPayload(payload, cookies));
}

/** Zeros (RFC 2409 Appendix B), or anything that ends with the number of octets before the last, as some pad (RFC 2409 §5.3). */
function isUsualPadding(padding: Uint8Array): boolean {
  return padding.every((octet) => octet === 0) || padding.at(-1) === padding.length - 1;
}

function isUsualPayload(payload: DecodedPayload, cookies: Cookies): boolean {
  if (payload.raw[1] !== 0) return false;
  return payload.kind !== 'notification' || isUsualNotification(payload, cookies);
}

/** In phase 1 there is but one SA that a notification can be about (RFC 2408 §3.14). */
function isUsualNotification({ doi, spi, notifyType }: NotificationPayload, cookies: Cookies): boolean {
  if (doi !== IPSEC_DOI && doi !== GENERIC_DOI) return false;
  if (notifyType !== NOTIFY_TYPE['INITIAL-CONTACT']) return true;
  const own = concat(cookies.initiatorCookie, cookies.responderCookie);
  return spi.length !== own.length || equalBytes(spi, own);
}
