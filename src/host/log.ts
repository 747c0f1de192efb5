// The structured log: one line a record. A record is built only from what events hold, and no event holds a secret.

import type { UdpPath } from '../model/address.ts';
import { formatEndpoint } from '../model/address.ts';
import type { Origin } from '../model/gateway-config.ts';
import type { IkeEvent } from '../model/ike-event.ts';
import { formatSpi } from '../model/ipsec-sa.ts';
import { formatSelector } from '../model/traffic-selector.ts';

export type LogLevel = 'debug' | 'info' | 'warning' | 'error';

export interface LogRecord {
  readonly level: LogLevel;
  /** What the line is about: `ike`, `ipsec`, `host`. */
  readonly topic: 'ike' | 'ipsec' | 'host';
  /** A stable word, such as `ike-sa-established`, to search for. */
  readonly event: string;
  /** One sentence for people. */
  readonly message: string;
  /** What the sentence speaks of, as separate values. */
  readonly fields: Readonly<Record<string, string | number | boolean>>;
}

/** One line of JSON without a line end; `time` is the wall clock in RFC 3339 form. */
export function formatLogJson(time: Date, record: LogRecord): string {
  const { level, topic, event, message, fields } = record;
  return JSON.stringify({ time: time.toISOString(), level, topic, event, message, ...fields });
}

/** One line for a terminal. Control characters that a peer may have put into a name are made visible. */
export function formatLogText(time: Date, record: LogRecord): string {
  const clock = time.toISOString().slice(11, 23);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: those are what must not reach the terminal
  const message = record.message.replace(/[\u0000-\u001f\u007f-\u009f]/g, '?');
  return `${clock} ${record.level.padEnd(7)} ${record.topic.padEnd(5)} ${message}`;
}

/** The log line for an event; `undefined` for those that are only counted. */
export function logRecordOf(event: IkeEvent): LogRecord | undefined {
  switch (event.kind) {
    case 'message':
      return record('debug', 'ike', event.kind, describeMessage(event), {
        ...pathFields(event.path),
        exchange: event.exchange,
        direction: event.direction,
        initiatorCookie: event.initiatorCookie,
        responderCookie: event.responderCookie,
        messageId: event.messageId,
        isRepeat: event.isRepeat,
      });
    case 'ike-sa-established':
      return record('info', 'ike', event.kind, `gateway ${event.gateway}: IKE SA ${event.isRekey ? 'rekeyed' : 'up'}`, {
        gateway: event.gateway,
        ikeSa: event.ikeSa,
        role: event.role,
        isRekey: event.isRekey,
        isLocalBehindNat: event.nat.isLocalBehindNat,
        isRemoteBehindNat: event.nat.isRemoteBehindNat,
        ...pathFields(event.path),
      });
    case 'ike-sa-deleted':
      return record('info', 'ike', event.kind, `gateway ${event.gateway}: IKE SA ended (${event.reason})`, {
        gateway: event.gateway,
        ikeSa: event.ikeSa,
        reason: event.reason,
      });
    case 'ipsec-sa-established':
    case 'ipsec-sa-deleted':
      return logIpsecSa(event);
    case 'negotiation-failed':
      return logFailure(event);
    case 'message-dropped': {
      if (event.gateway === undefined) return undefined;
      const text = `gateway ${event.gateway}: a message was dropped (${event.fault})`;
      return record('debug', 'ike', event.kind, text, {
        gateway: event.gateway,
        fault: event.fault,
        ...pathFields(event.path),
      });
    }
    case 'notice':
      return record(event.severity, 'ike', event.kind, `${event.text}${originText(event.origin)}`, {
        ...(event.gateway === undefined ? {} : { gateway: event.gateway }),
      });
  }
}

function describeMessage(event: Extract<IkeEvent, { kind: 'message' }>): string {
  const arrow = event.direction === 'sent' ? '-->' : '<--';
  const repeat = event.isRepeat ? ' (again)' : '';
  const effect = event.effect === '' ? '' : `: ${event.effect}`;
  return `${arrow} ${formatEndpoint(event.path.remote)} ${event.exchange} ${event.notation}${repeat}${effect}`;
}

function logIpsecSa(event: Extract<IkeEvent, { kind: 'ipsec-sa-established' | 'ipsec-sa-deleted' }>): LogRecord {
  const spis = `in ${formatSpi(event.inboundSpi)}, out ${formatSpi(event.outboundSpi)}`;
  const fields = {
    gateway: event.gateway,
    vpn: event.vpn,
    policy: event.policy,
    inboundSpi: formatSpi(event.inboundSpi),
    outboundSpi: formatSpi(event.outboundSpi),
  };
  if (event.kind === 'ipsec-sa-deleted') {
    const text = `vpn ${event.policy}: IPsec SA ended (${event.reason}; ${spis})`;
    return record('info', 'ipsec', event.kind, text, { ...fields, reason: event.reason });
  }
  const selectors = `${formatSelector(event.selectors.local)} <-> ${formatSelector(event.selectors.remote)}`;
  const text = `vpn ${event.policy}: IPsec SA ${event.isRekey ? 'rekeyed' : 'up'} (${spis}; ${selectors})`;
  return record('info', 'ipsec', event.kind, text, { ...fields, role: event.role, isRekey: event.isRekey, selectors });
}

function logFailure(event: Extract<IkeEvent, { kind: 'negotiation-failed' }>): LogRecord {
  const who = event.gateway === undefined ? formatEndpoint(event.path.remote) : `gateway ${event.gateway}`;
  const where = event.statements.map((origin) => originText(origin)).join('');
  return record('warning', 'ike', event.kind, `${who}: phase ${event.phase} failed: ${event.explanation}${where}`, {
    reason: event.reason,
    phase: event.phase,
    role: event.role,
    isFinal: event.isFinal,
    ...(event.gateway === undefined ? {} : { gateway: event.gateway }),
    ...(event.vpn === undefined ? {} : { vpn: event.vpn }),
    ...pathFields(event.path),
  });
}

function originText(origin: Origin | undefined): string {
  if (origin === undefined) return '';
  return origin.line > 0 ? ` [${origin.path}, line ${origin.line}]` : ` [${origin.path}]`;
}

function pathFields(path: UdpPath): Readonly<Record<string, string>> {
  return { local: formatEndpoint(path.local), remote: formatEndpoint(path.remote) };
}

function record(
  level: LogLevel,
  topic: LogRecord['topic'],
  event: string,
  message: string,
  fields: LogRecord['fields'],
): LogRecord {
  return { level, topic, event, message, fields };
}
