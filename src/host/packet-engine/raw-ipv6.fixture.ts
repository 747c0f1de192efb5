// The IPv6 raw sockets of a gateway, real ones, for the engine bench: the kernel keeps the headers of what it delivers to itself, and hands over in
// pieces what of them was asked for, which no stand-in would do as it does.

import { spawnSync } from 'node:child_process';
import { createHmac } from 'node:crypto';
import type { SeededRandom } from '../../lib/random.ts';
import { addressOctets, type IpAddress } from '../../model/address.ts';
import { foreignFunctions } from '../foreign-functions.ts';
import { check, libc, NativeMemory } from '../libc.ts';
import { socketAddress } from '../socket-address.ts';
import { openRawReceiveSocket, openRawSendSocket } from '../sockets.ts';
import type { EngineRawSocket } from './messages.ts';

const CLONE_NEWNET = 0x40000000;
const PACKET_MAX = 70_000;
const IPV6_LENGTH = 40;
const HOP_BY_HOP = 0;
const ROUTING = 43;
const DESTINATION = 60;
const PAD_N = 1;
/** Two experimental ones that are skipped by who does not know them, the second with data that may change on the way (RFC 8200 §4.2). */
const EXPERIMENTAL_CHANGING = 0x3e;
const OPTIONS = [PAD_N, 0x1e, EXPERIMENTAL_CHANGING];
const AH_FIXED_LENGTH = 12;
const AH_SPI_AT = 4;

/** Moves this thread, and those that it starts from now on, into a network namespace of their own, in which the address is its. */
export function enterOwnNamespace(address: IpAddress): void {
  const unshare = foreignFunctions?.load(null).func('unshare', 'int', ['int']);
  check(unshare?.(CLONE_NEWNET) ?? -1, 'unshare', 'a network namespace');
  for (const args of [
    ['link', 'set', 'lo', 'up'],
    ['address', 'add', `${address}/128`, 'dev', 'lo', 'nodad'],
  ]) {
    const { status, stderr } = spawnSync('ip', args, { encoding: 'utf8' });
    if (status !== 0) throw new Error(`ip ${args.join(' ')}: ${stderr}`);
  }
}

/** What the engine receives ESP and AH over IPv6 with, and a sender of whole packets to it. */
export class RawIpv6Sockets {
  readonly sockets: readonly EngineRawSocket[] = ([50, 51] as const).map((protocol) => ({
    family: 6,
    protocol,
    descriptor: openRawReceiveSocket(6, protocol),
  }));
  readonly #sender = openRawSendSocket(6);
  readonly #memory = NativeMemory.allocate(PACKET_MAX);
  readonly #target = NativeMemory.allocate(128);
  readonly #targetLength: number;

  constructor(local: IpAddress) {
    const name = socketAddress({ address: local, port: 0 });
    this.#target.bytes.set(name);
    this.#targetLength = name.length;
  }

  send(packet: Uint8Array): void {
    this.#memory.bytes.set(packet);
    const { address } = this.#memory;
    const sent = libc.sendto(this.#sender, address, packet.length, 0, this.#target.address, this.#targetLength);
    check(sent, 'sendto', 'a raw IPv6 packet');
  }

  close(): void {
    for (const { descriptor } of this.sockets) libc.close(descriptor);
    libc.close(this.#sender);
  }
}

/** A new IPv6 header before what a packet carried: any traffic class, flow label and hop limit, and now and then extension headers. */
export function ipv6PacketAround(
  random: SeededRandom,
  protocol: 50 | 51,
  source: IpAddress,
  destination: IpAddress,
  payload: Uint8Array,
): Uint8Array {
  const extensions = random.fraction() < 0.25 ? randomExtensions(random) : [];
  const packet = new Uint8Array(IPV6_LENGTH + 8 * extensions.length + payload.length);
  const view = new DataView(packet.buffer);
  view.setUint32(0, 0x60000000 + Math.floor(random.fraction() * 2 ** 28));
  view.setUint16(4, packet.length - IPV6_LENGTH);
  view.setUint8(7, 1 + Math.floor(random.fraction() * 255));
  packet.set(addressOctets(source), 8);
  packet.set(addressOctets(destination), 24);
  let nextHeaderAt = 6;
  for (const [index, kind] of extensions.entries()) {
    const at = IPV6_LENGTH + 8 * index;
    packet[nextHeaderAt] = kind;
    // A routing header of type 0 with nowhere left to go is all zeros (RFC 8200 §4.4); else one option that fills the header.
    const option = OPTIONS[Math.floor(random.fraction() * OPTIONS.length)] ?? PAD_N;
    if (kind !== ROUTING) packet.set([option, 4, ...(option === PAD_N ? [] : random.bytes(4))], at + 2);
    nextHeaderAt = at;
  }
  packet[nextHeaderAt] = protocol;
  packet.set(payload, packet.length - payload.length);
  return packet;
}

/** The SPI of a packet that `ipv6PacketAround` has put extension headers before, if they are before AH and it is long enough for an ICV. */
export function spiBehindExtensions(packet: Uint8Array, icvLength: number): number | undefined {
  const at = authenticationHeaderAt(packet);
  if (at <= IPV6_LENGTH || at + AH_FIXED_LENGTH + icvLength > packet.length) return undefined;
  return new DataView(packet.buffer, packet.byteOffset).getUint32(at + AH_SPI_AT);
}

/** Puts the ICV for the packet as it is into its AH, by the letter of RFC 4302 §3.3.3, and shares no code with what checks it. */
export function sign(packet: Uint8Array, hash: string, key: Uint8Array, icvLength: number, isExtended: boolean): void {
  const at = authenticationHeaderAt(packet);
  const icv = at + AH_FIXED_LENGTH;
  const seen = packet.slice();
  seen.set([0x60, 0, 0, 0]);
  seen[7] = 0;
  for (let header = IPV6_LENGTH, kind = packet[6]; header < at; kind = packet[header], header += 8)
    if (kind !== ROUTING && packet[header + 2] === EXPERIMENTAL_CHANGING) seen.fill(0, header + 4, header + 8);
  seen.fill(0, icv, icv + icvLength);
  const hmac = createHmac(hash, key).update(seen);
  // The upper half of an extended sequence number is not in the packet; none of ours has got so far.
  if (isExtended) hmac.update(new Uint8Array(4));
  packet.set(hmac.digest().subarray(0, icvLength), icv);
}

/** Behind extension headers of eight octets each. */
function authenticationHeaderAt(packet: Uint8Array): number {
  let at = IPV6_LENGTH;
  for (let kind = packet[6]; kind !== 51; kind = packet[at], at += 8) if (kind === 50 || at >= packet.length) return -1;
  return at;
}

/** At most one of each, hop-by-hop options first: any other order the kernel would not take (RFC 8200 §4.1). */
function randomExtensions(random: SeededRandom): readonly number[] {
  return [HOP_BY_HOP, ROUTING, DESTINATION].filter(() => random.fraction() < 0.5);
}
