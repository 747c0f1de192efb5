import { equalInConstantTime } from '../../lib/bytes.ts';
import { err, ok, type Result } from '../../lib/result.ts';
import type { IsakmpHeader } from '../../wire/isakmp-header.ts';
import { rawOctetsFrom } from '../../wire/isakmp-payloads.ts';
import type { IkeEnvironment } from '../environment.ts';
import { hash1, hmacPrf } from './key-material.ts';
import type { MessageChannel, OpenedMessage } from './message-channel.ts';
import { checkPayloads, type MessageRule } from './payload-rules.ts';
import type { PeerFault } from './peer-fault.ts';

/**
 * Decrypts and authenticates a message that is protected by HASH(1): the first of a peer's exchange after phase 1, or the answer in a
 * Transaction (RFC 2409 §5.5, §5.7). Changes nothing.
 */
export function openAuthenticated(
  environment: IkeEnvironment,
  channel: MessageChannel,
  header: IsakmpHeader,
  message: Uint8Array,
  iv: Uint8Array | undefined,
  rule: MessageRule,
): Result<OpenedMessage & { readonly nextIv: Uint8Array }, PeerFault> {
  const { protection } = channel;
  if (protection === undefined) return err('unexpected-message');
  const opened = channel.open(header, message, iv);
  if (!opened.ok) return opened;
  const { payloads, nextIv } = opened.value;
  if (nextIv === undefined) return err('not-encrypted');
  if (!checkPayloads(rule, payloads).ok) return err('unexpected-payloads');
  const hash = payloads[0];
  if (hash?.kind !== 'hash') return err('unexpected-payloads');
  const prf = hmacPrf(environment.crypto, protection.hash);
  const expected = hash1(prf, protection.keys.skeyidA, header.messageId, rawOctetsFrom(payloads, 1));
  return equalInConstantTime(hash.data, expected) ? ok({ payloads, nextIv }) : err('hash-mismatch');
}
