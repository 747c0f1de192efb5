import { toHex } from '../lib/bytes.ts';
import type { IpAddress } from '../model/address.ts';
import { COOKIE_LENGTH, type IsakmpHeader } from '../wire/isakmp-header.ts';
import type { IsakmpSa } from './v1/isakmp-sa.ts';

const NO_COOKIE = new Uint8Array(COOKIE_LENGTH);

/** All ISAKMP SAs by their cookies (RFC 2408 §2.5); admission bounds those of unverified peers. */
export class IsakmpSas {
  readonly #byCookies = new Map<string, IsakmpSa>();
  /** Our own, whose peer has not answered: only the initiator's cookie is known. */
  readonly #unanswered = new Map<string, IsakmpSa>();
  /** The peer's first message has no responder cookie: it is known by its sender's address and cookie. */
  readonly #byFirstMessage = new Map<string, IsakmpSa>();

  add(sa: IsakmpSa): void {
    const { initiatorCookie, responderCookie } = sa.cookies;
    if (isZero(responderCookie)) {
      this.#unanswered.set(toHex(initiatorCookie), sa);
      return;
    }
    this.#byCookies.set(pairKey(initiatorCookie, responderCookie), sa);
    if (sa.role === 'responder') this.#byFirstMessage.set(firstKey(sa.firstAddress, initiatorCookie), sa);
  }

  /** The peer has answered under its cookie, which the SA has adopted. */
  promote(sa: IsakmpSa): void {
    this.#unanswered.delete(toHex(sa.cookies.initiatorCookie));
    this.add(sa);
  }

  delete(sa: IsakmpSa): void {
    const { initiatorCookie, responderCookie } = sa.cookies;
    const key = toHex(initiatorCookie);
    if (this.#unanswered.get(key) === sa) this.#unanswered.delete(key);
    this.#byCookies.delete(pairKey(initiatorCookie, responderCookie));
    const first = firstKey(sa.firstAddress, initiatorCookie);
    if (this.#byFirstMessage.get(first) === sa) this.#byFirstMessage.delete(first);
  }

  find(header: IsakmpHeader): IsakmpSa | undefined {
    return this.findByCookies(header.initiatorCookie, header.responderCookie);
  }

  findByCookies(initiatorCookie: Uint8Array, responderCookie: Uint8Array): IsakmpSa | undefined {
    return this.#byCookies.get(pairKey(initiatorCookie, responderCookie));
  }

  /** Our own exchange that this may be the first answer to. */
  findUnanswered(initiatorCookie: Uint8Array): IsakmpSa | undefined {
    return this.#unanswered.get(toHex(initiatorCookie));
  }

  /** The exchange that this first message of a peer has already begun. */
  findBegun(address: IpAddress, initiatorCookie: Uint8Array): IsakmpSa | undefined {
    return this.#byFirstMessage.get(firstKey(address, initiatorCookie));
  }

  *[Symbol.iterator](): IterableIterator<IsakmpSa> {
    yield* this.#unanswered.values();
    yield* this.#byCookies.values();
  }
}

export function isZero(cookie: Uint8Array): boolean {
  return cookie.every((octet) => octet === 0);
}

export function noCookie(): Uint8Array {
  return NO_COOKIE.slice();
}

function pairKey(initiatorCookie: Uint8Array, responderCookie: Uint8Array): string {
  return toHex(initiatorCookie) + toHex(responderCookie);
}

function firstKey(address: IpAddress, initiatorCookie: Uint8Array): string {
  return `${address} ${toHex(initiatorCookie)}`;
}
