// Where phase 1 begins: our own first message, and strangers' (RFC 2408 §2.5.3; RFC 2409 §5).
// A stranger's first message: seen before? -> a gateway for its address? -> a place among the half-open? -> payloads -> a proposal.

import { toHex } from '../lib/bytes.ts';
import { err, ok, type Result } from '../lib/result.ts';
import type { Instant } from '../lib/time.ts';
import type { UdpPath } from '../model/address.ts';
import type { IkeGatewayConfig } from '../model/gateway-config.ts';
import { COOKIE_LENGTH, ISAKMP_HEADER_LENGTH, type IsakmpHeader } from '../wire/isakmp-header.ts';
import { type DecodedPayload, decodePayloadChain } from '../wire/isakmp-payloads.ts';
import { Admission } from './admission.ts';
import type { Coordinator } from './coordinator.ts';
import { noCookie } from './isakmp-sas.ts';
import type { IkeOutbox } from './outbox.ts';
import type { Peer } from './peer.ts';
import { gatewayAuthentication, isExpectedIdentity } from './v1/authentication.ts';
import { isakmpNotification } from './v1/informational.ts';
import { IsakmpSa } from './v1/isakmp-sa.ts';
import type { Cookies } from './v1/key-material.ts';
import { MessageChannel } from './v1/message-channel.ts';
import { MessageIds } from './v1/message-ids.ts';
import { IKE_PORT } from './v1/nat-traversal.ts';
import { checkPayloads, type MessageRule } from './v1/payload-rules.ts';
import { faultNotify, type PeerFault, type Refusal, refusal } from './v1/peer-fault.ts';
import { readIdentity } from './v1/phase1-messages.ts';
import { modeOf, type Phase1Mode, rulesOf } from './v1/phase1-mode.ts';

export class Initiations {
  readonly #coordinator: Coordinator;
  readonly admission = new Admission();
  readonly #halfOpen = new Set<IsakmpSa>();
  #nextIndex = 1;

  constructor(coordinator: Coordinator) {
    this.#coordinator = coordinator;
  }

  /** Sends our first message to the gateway; `undefined` if that cannot be, which has been reported. */
  connect(now: Instant, peer: Peer, out: IkeOutbox): IsakmpSa | undefined {
    const { gateway } = peer;
    const { localAddress } = gateway;
    const authentication = gatewayAuthentication(gateway);
    const standing = peer.current;
    const remoteAddress = standing?.path.remote.address ?? peer.remoteAddress;
    if (localAddress === undefined || remoteAddress === undefined || authentication === undefined) {
      this.#reportUnusable(peer, out);
      return undefined;
    }
    // A successor starts where its predecessor has got to: behind a NAT only that port leads to the peer (RFC 3947 §4).
    const path = standing?.path ?? {
      local: { address: localAddress, port: IKE_PORT },
      remote: { address: remoteAddress, port: IKE_PORT },
    };
    const sa = new IsakmpSa(now, {
      owner: this.#coordinator,
      gateway,
      authentication,
      role: 'initiator',
      mode: gateway.policy.mode,
      cookies: { initiatorCookie: this.#drawCookie(), responderCookie: noCookie() },
      path,
      index: this.#nextIndex++,
      isRekey: standing !== undefined,
    });
    this.#coordinator.sas.add(sa);
    sa.start(now, out);
    return sa;
  }

  /** A first message: answered by a new SA, which is returned, or refused, or dropped. */
  answer(
    now: Instant,
    path: UdpPath,
    header: IsakmpHeader,
    message: Uint8Array,
    out: IkeOutbox,
  ): Result<IsakmpSa | undefined, PeerFault> {
    const mode = modeOf(header);
    if (mode === undefined) return err('unsupported-exchange');
    if (header.messageId !== 0 || header.flags.encryption) return err('unexpected-message');
    const key = `${path.remote.address} ${toHex(header.initiatorCookie)}`;
    const refused = this.admission.findRefusal(now, key);
    if (refused) {
      if (refused.answer) out.transmit(path, refused.answer);
      return ok(undefined);
    }
    const body = message.subarray(ISAKMP_HEADER_LENGTH);
    const payloads = decodePayloadChain(header.nextPayload, body, { encrypted: false });
    if (!payloads.ok) return err('malformed');
    const rule: MessageRule | undefined = rulesOf(mode)[0];
    if (rule === undefined || !checkPayloads(rule, payloads.value).ok) return err('unexpected-payloads');
    const gateways = mode === 'main' ? this.#gatewaysAt(path) : this.#gatewaysOf(path, payloads.value);
    if (gateways.length === 0) return err('unknown-peer');
    const admitted = this.admission.admit(path.remote.address);
    if (!admitted.ok) return admitted;
    const answered = this.#answerAs(now, gateways, mode, path, header, message, payloads.value, out);
    if (answered.ok) return ok(answered.value);
    this.admission.release(path.remote.address);
    this.#refuse(now, key, gateways, path, header, answered.error, out);
    return ok(undefined);
  }

  /** The SA's peer has proven itself, or its exchange has ended: it no longer counts as half-open. */
  handleVerified(sa: IsakmpSa): void {
    if (this.#halfOpen.delete(sa)) this.admission.release(sa.firstAddress);
  }

  #answerAs(
    now: Instant,
    gateways: readonly IkeGatewayConfig[],
    mode: Phase1Mode,
    path: UdpPath,
    header: IsakmpHeader,
    message: Uint8Array,
    payloads: readonly DecodedPayload[],
    out: IkeOutbox,
  ): Result<IsakmpSa, Refusal> {
    let firstRefusal: Refusal | undefined;
    for (const gateway of gateways) {
      const authentication = gatewayAuthentication(gateway);
      if (gateway.policy.mode !== mode || authentication === undefined) continue;
      const cookies = { initiatorCookie: header.initiatorCookie, responderCookie: this.#drawCookie() };
      const sa = new IsakmpSa(now, {
        owner: this.#coordinator,
        gateway,
        authentication,
        role: 'responder',
        mode,
        cookies,
        path,
        index: this.#nextIndex,
        isRekey: false,
      });
      const answered = sa.answer(now, message, payloads, out);
      if (!answered.ok) {
        firstRefusal ??= answered.error;
        continue;
      }
      this.#nextIndex++;
      this.#halfOpen.add(sa);
      this.#coordinator.sas.add(sa);
      return ok(sa);
    }
    return err(firstRefusal ?? unusableRefusal(gateways, mode));
  }

  #refuse(
    now: Instant,
    key: string,
    gateways: readonly IkeGatewayConfig[],
    path: UdpPath,
    header: IsakmpHeader,
    error: Refusal,
    out: IkeOutbox,
  ): void {
    const notifyType = faultNotify(error.fault);
    const gateway = gateways[0]?.name;
    const answer =
      notifyType === undefined ? undefined : this.#sendRefusal(gateway ?? '', path, header, notifyType, out);
    this.admission.rememberRefusal(now, key, answer);
    const about = { phase: 1, role: 'responder', path, ...(gateway === undefined ? {} : { gateway }) } as const;
    const { fault, explanation, statements } = error;
    if (!this.admission.mayReport(now, `${gateway} ${fault}`)) return;
    out.report({ kind: 'negotiation-failed', ...about, reason: fault, explanation, statements, isFinal: true });
  }

  /** Tells the peer in clear, since there are no keys yet; returns what was sent. */
  #sendRefusal(gateway: string, path: UdpPath, header: IsakmpHeader, notifyType: number, out: IkeOutbox): Uint8Array {
    const cookies: Cookies = { initiatorCookie: header.initiatorCookie, responderCookie: this.#drawCookie() };
    const { environment } = this.#coordinator;
    const messageId = new MessageIds().draw(environment.random);
    const place = { exchange: 'informational', messageId, number: 0, sender: 'responder' } as const;
    const channel = new MessageChannel(environment, gateway, cookies, path);
    const payload = isakmpNotification(notifyType, cookies);
    return channel.send(place, [payload], undefined, 'refused the message', out).sent.bytes;
  }

  /** Gateways whose configured addresses hold the sender's: with Main Mode nothing else can tell whose key to use (RFC 2409 §5.4). */
  #gatewaysAt(path: UdpPath): readonly IkeGatewayConfig[] {
    return this.#coordinator.gateways.at(path.remote.address, path.local.address);
  }

  /** Aggressive Mode names the initiator at once: gateways that expect this identity, from this address or, if dynamic, from any. */
  #gatewaysOf(path: UdpPath, payloads: readonly DecodedPayload[]): readonly IkeGatewayConfig[] {
    const identification = readIdentity(payloads);
    if (!identification.ok) return [];
    const { identity } = identification.value;
    const atAddress = this.#gatewaysAt(path);
    const dynamic = this.#coordinator.gateways.dynamic(path.local.address);
    const expecting = [...atAddress, ...dynamic].filter((gateway) => isExpectedIdentity(gateway, identity));
    // A peer that is known by its address is told why it is refused; a stranger is not.
    return expecting.length > 0 ? expecting : atAddress;
  }

  #drawCookie(): Uint8Array {
    const cookie = this.#coordinator.environment.random.bytes(COOKIE_LENGTH);
    // A zero cookie means "none yet".
    if (cookie.every((octet) => octet === 0)) cookie[0] = 1;
    return cookie;
  }

  #reportUnusable(peer: Peer, out: IkeOutbox): void {
    const { gateway } = peer;
    const missing =
      gateway.localAddress === undefined
        ? 'this gateway has no local address'
        : peer.remoteAddress === undefined
          ? 'the peer has no known address, so that only it can begin'
          : 'its policy has no pre-shared key';
    const text = `gateway ${gateway.name} cannot be called: ${missing}`;
    out.report({ kind: 'notice', severity: 'warning', gateway: gateway.name, text, origin: gateway.origin });
  }
}

/** Why none of the peer's gateways could so much as look at what it offers. */
function unusableRefusal(gateways: readonly IkeGatewayConfig[], mode: Phase1Mode): Refusal {
  const ofMode = gateways.filter(({ policy }) => policy.mode === mode);
  const origins = (ofMode.length > 0 ? ofMode : gateways).map(({ policy }) => policy.origin);
  const names = ofMode.map(({ name }) => name).join(', ');
  const explanation =
    ofMode.length > 0
      ? `the policy of gateway ${names}, to which the peer belongs, has no pre-shared key`
      : `the peer asked for ${mode} mode, which no policy for it uses`;
  return refusal('no-proposal-chosen', explanation, ...origins);
}
