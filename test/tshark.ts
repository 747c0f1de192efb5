// Reads tshark's JSON (-T json, with or without -x). A tree there repeats a key for each payload, which JSON.parse would lose: so the text
// is read as it stands.

import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';

/** What tshark saw in one packet, as far as ISAKMP goes. */
export interface TsharkPacket {
  readonly isIsakmp: boolean;
  readonly version: number;
  readonly exchangeType: number;
  readonly isEncrypted: boolean;
  readonly length: number;
  readonly messageId: number;
  /** The payloads that are not nested in another, in order, as far as tshark could read them. */
  readonly payloads: readonly { readonly type: number; readonly length: number }[];
  readonly proposalCount: number;
  readonly transformCount: number;
  /** tshark found something wrong with the packet. */
  readonly isMalformed: boolean;
}

const PROPOSAL = 2;
const TRANSFORM = 3;

export function readTshark(path: string): readonly TsharkPacket[] {
  const text = gunzipSync(readFileSync(path)).toString('utf8');
  return text.split('"_index"').slice(1).map(readPacket);
}

function readPacket(text: string): TsharkPacket {
  const start = text.indexOf('"isakmp": {');
  const isakmp = start < 0 ? '' : text.slice(start);
  const payloads = [...isakmp.matchAll(/"isakmp\.typepayload": "(\d+)"[\s\S]*?"isakmp\.payloadlength": "(\d+)"/g)].map(
    (match) => ({ type: Number(match[1]), length: Number(match[2]) }),
  );
  return {
    isIsakmp: start >= 0,
    version: Number(field(isakmp, 'version')),
    exchangeType: Number(field(isakmp, 'exchangetype')),
    isEncrypted: /"isakmp\.flag_e": "(?:1|True|true)"/.test(isakmp),
    length: Number(field(isakmp, 'length')),
    messageId: Number(field(isakmp, 'messageid')),
    payloads: payloads.filter(({ type }) => type !== PROPOSAL && type !== TRANSFORM),
    proposalCount: payloads.filter(({ type }) => type === PROPOSAL).length,
    transformCount: payloads.filter(({ type }) => type === TRANSFORM).length,
    isMalformed: /"_ws\.malformed"|isakmp\.payloadlength\.invalid|"_ws\.expert\.severity": "8388608"/.test(text),
  };
}

function field(text: string, name: string): string | undefined {
  return new RegExp(`"isakmp\\.${name}": "([^"]*)"`).exec(text)?.[1];
}
