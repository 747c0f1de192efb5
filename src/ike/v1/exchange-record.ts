import { equalBytes } from '../../lib/bytes.ts';
import { type Instant, NEVER } from '../../lib/time.ts';
import { Retransmission, type RetransmissionPolicy } from '../retransmission.ts';
import type { SentMessage } from './message-channel.ts';

/** The last message of an exchange in each direction: what a duplicate is compared with, and answered with. */
export class ExchangeRecord {
  #received: Uint8Array | undefined;
  #sent: SentMessage | undefined;
  #retransmission: Retransmission | undefined;

  /** What answered the last message received, or opened the exchange. */
  get sent(): SentMessage | undefined {
    return this.#sent;
  }

  get sendCount(): number {
    return this.#retransmission?.sendCount ?? 0;
  }

  /** Whether these are the bytes of the last message that was acted on. */
  isDuplicate(message: Uint8Array): boolean {
    return this.#received !== undefined && equalBytes(this.#received, message);
  }

  /** A message was acted on: the peer has our last one, so it is not sent again by itself. */
  noteReceived(message: Uint8Array): void {
    this.#received = message;
    this.#retransmission = undefined;
    this.#sent = undefined;
  }

  /** A message was sent; with a policy it is repeated until something comes back. */
  noteSent(now: Instant, sent: SentMessage, policy: RetransmissionPolicy | undefined): void {
    this.#sent = sent;
    this.#retransmission = policy && new Retransmission(now, policy);
  }

  stopRetransmission(): void {
    this.#retransmission = undefined;
  }

  nextTimeout(): Instant {
    return this.#retransmission?.nextTimeout() ?? NEVER;
  }

  handleTimeout(now: Instant): 'wait' | 'send-again' | 'give-up' {
    return this.#retransmission?.handleTimeout(now) ?? 'wait';
  }
}
