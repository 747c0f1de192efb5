// The kernel as a gateway keyed by hand: its SAs and policies, its sockets behind them, and what it counts. The wire to us is a TUN device:
// what the kernel routes to our addresses comes out of it as whole IP packets, and what is written into it has arrived.

import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { check, libc, MSG_DONTWAIT, NativeMemory } from '../../../src/host/libc.ts';
import { readSocketAddress, socketAddress } from '../../../src/host/socket-address.ts';
import { openUdpSocket, setOption } from '../../../src/host/sockets.ts';
import type { IpAddress, UdpEndpoint } from '../../../src/model/address.ts';
import type { IpsecSa } from '../../../src/model/ipsec-sa.ts';
import { algorithmWords } from './kernel-words.ts';
import { KERNEL, type KeyedCase, keysOf } from './keyed-case.ts';

export const WIRE = 'wire';
const IPPROTO_UDP = 17;
const UDP_ENCAP = 100;
const UDP_ENCAP_ESPINUDP = 2;
const IPSEC_UDP_PORT = 4500;

const NETWORK = [
  `link set ${WIRE} up`,
  `address add ${KERNEL.outer[4]}/24 dev ${WIRE}`,
  `address add ${KERNEL.alias}/24 dev ${WIRE}`,
  `address add ${KERNEL.outer[6]}/64 dev ${WIRE} nodad`,
  `address add ${KERNEL.inner[4]}/32 dev lo`,
  `address add ${KERNEL.inner[6]}/128 dev lo nodad`,
  `route add 198.51.100.0/24 dev ${WIRE} src ${KERNEL.outer[4]}`,
  `route add 2001:db8:1::/64 dev ${WIRE} src ${KERNEL.outer[6]}`,
  `route add 10.1.0.0/24 dev ${WIRE} src ${KERNEL.inner[4]}`,
  `route add fd00:1::/64 dev ${WIRE} src ${KERNEL.inner[6]}`,
];

/**
 * Gives the kernel its addresses and all cases, in one go if it can: a program that starts costs much under emulation. The result says
 * what the kernel refused, by case; throws if it is about none of them.
 */
export function configureKernel(cases: readonly KeyedCase[]): ReadonlyMap<KeyedCase, string> {
  // A source route is refused otherwise, which is right in real life.
  for (const name of ['all', WIRE]) writeFileSync(`/proc/sys/net/ipv4/conf/${name}/accept_source_route`, '1');
  const complaint = runIp(NETWORK);
  if (complaint !== undefined) throw new Error(complaint);
  const refused = new Map<KeyedCase, string>();
  if (runIp(cases.flatMap(caseLines)) === undefined) return refused;
  // `ip` ends at the first SA that the kernel refuses, and does not say which that is.
  runIp(['xfrm state flush', 'xfrm policy flush']);
  for (const keyed of cases) {
    const reason = runIp(caseLines(keyed));
    if (reason !== undefined) refused.set(keyed, reason);
  }
  return refused;
}

/** Why `ip` did not do all of it, in its own words, or `undefined`. */
function runIp(lines: readonly string[]): string | undefined {
  const { status, stderr, error } = spawnSync('ip', ['-batch', '-'], { input: lines.join('\n'), encoding: 'utf8' });
  if (status === 0) return undefined;
  return error?.message ?? (stderr.trim() || `ip ended with status ${status}`);
}

function caseLines(keyed: KeyedCase): readonly string[] {
  return [...stateLines(keyed), ...policyLines(keyed)];
}

function stateLines(keyed: KeyedCase): readonly string[] {
  const words = [
    `reqid ${keyed.number} replay-window 128`,
    keyed.kernelWords,
    ...(keyed.isInUdp
      ? [`encap espinudp ${IPSEC_UDP_PORT} ${IPSEC_UDP_PORT} ${keyed.outer === 4 ? '0.0.0.0' : '::'}`]
      : []),
    ...(keyed.sequence > 0 ? [`replay-seq ${keyed.ourSequence} replay-oseq ${keyed.sequence}`] : []),
    flagWords(keyed),
  ];
  return (['outbound', 'inbound'] as const).flatMap((direction) =>
    keyed.sas(direction).map((sa, index) => {
      // What goes out here comes in there.
      const ends =
        direction === 'outbound'
          ? `src ${keyed.ourOuter} dst ${keyed.kernelDestination}`
          : `src ${keyed.kernelOuter} dst ${keyed.ourOuter}`;
      // Of a bundle in tunnel mode only the ESP is a tunnel.
      const mode = index === 0 ? keyed.mode : 'transport';
      const name = `proto ${sa.protocol} spi 0x${sa.spi.toString(16)}`;
      return `xfrm state add ${ends} ${name} mode ${mode} ${words.join(' ')} ${algorithmWords(kernelKeys(keyed, sa))}`;
    }),
  );
}

function flagWords(keyed: KeyedCase): string {
  const flags = [
    ...(keyed.esn ? ['esn'] : []),
    ...(keyed.inner === keyed.outer ? [] : ['af-unspec']),
    // RFC 4302 §2.6 wants four octets in IPv4; the kernel pads to eight unless it is told.
    ...(keyed.outer === 4 && !keyed.isPaddedToEight ? ['align4'] : []),
  ];
  return flags.length === 0 ? '' : `flag ${flags.join(' ')}`;
}

function kernelKeys(keyed: KeyedCase, sa: IpsecSa): IpsecSa {
  return keyed.hasWrongKeys ? { ...sa, ...keysOf(sa.spi + 0x10000, sa.encryption, sa.integrity) } : sa;
}

function policyLines(keyed: KeyedCase): readonly string[] {
  const { ourInner, kernelInner, ourOuter, kernelOuter, kernelDestination, number, mode } = keyed;
  const template = (source: IpAddress, destination: IpAddress): string =>
    keyed
      .sas('outbound')
      .map(({ protocol }, index) => {
        const templateMode = index === 0 ? mode : 'transport';
        return `tmpl src ${source} dst ${destination} proto ${protocol} reqid ${number} mode ${templateMode}`;
      })
      .join(' ');
  const kernelEnd = mode === 'tunnel' ? kernelInner : kernelDestination;
  return [
    `xfrm policy add src ${ourInner} dst ${kernelEnd} dir in priority 2 ${template(ourOuter, kernelDestination)}`,
    `xfrm policy add src ${kernelInner} dst ${ourInner} dir out priority 2 ${template(kernelOuter, ourOuter)}`,
    // As an IKE daemon's sockets have it: ESP in UDP is itself looked up in the policies, and transport mode's would want it protected.
    ...(keyed.isInUdp
      ? [
          `xfrm policy add src ${ourOuter} dst ${kernelOuter} proto udp sport 4500 dport 4500 dir in priority 1 action allow`,
        ]
      : []),
  ];
}

/** The kernel's IPsec error counters that are not zero (Linux' Documentation/networking/xfrm_proc.rst). */
export function kernelErrors(): Readonly<Record<string, number>> {
  const lines = readFileSync('/proc/self/net/xfrm_stat', 'utf8').split('\n');
  const counters = lines.map((line) => line.split(/\s+/)).map(([name = '', value]) => [name, Number(value)] as const);
  return Object.fromEntries(counters.filter(([name, value]) => name !== '' && value !== 0));
}

/** What the kernel has counted for each SA. */
export interface KernelSaCounts {
  readonly packets: number;
  /** Packets outside the window, replays, and failed verifications. */
  readonly errors: number;
}

/** By SPI. */
export function kernelSaCounts(): ReadonlyMap<number, KernelSaCounts> {
  const { stdout } = spawnSync('ip', ['-s', 'xfrm', 'state', 'list', 'nokeys'], { encoding: 'utf8' });
  const counts = new Map<number, KernelSaCounts>();
  for (const block of stdout.split(/^(?=src )/m)) {
    const spi = block.match(/ spi 0x([0-9a-f]+)/)?.[1];
    const packets = block.match(/lifetime current:\s+\d+\(bytes\), (\d+)\(packets\)/)?.[1];
    const errors = block.match(/replay-window (\d+) replay (\d+) failed (\d+)/)?.slice(1);
    if (spi === undefined || packets === undefined || errors === undefined) continue;
    counts.set(Number.parseInt(spi, 16), {
      packets: Number(packets),
      errors: errors.map(Number).reduce((sum, each) => sum + each, 0),
    });
  }
  return counts;
}

/** Sockets that take ESP out of UDP before IPsec sees it, as an IKE daemon sets them up. */
export function openEncapsulationSockets(): void {
  for (const family of [4, 6] as const) {
    const descriptor = openUdpSocket({ address: KERNEL.outer[family], port: IPSEC_UDP_PORT });
    setOption(descriptor, IPPROTO_UDP, UDP_ENCAP, UDP_ENCAP_ESPINUDP);
  }
}

const DATAGRAM_LENGTH_MAX = 65_535;
const NAME_AT = 0;
const NAME_LENGTH_AT = 32;
const OPTION_AT = 64;

export interface Datagram {
  readonly from: UdpEndpoint | undefined;
  readonly data: Uint8Array;
}

/** A UDP socket of a program on the kernel's side. */
export class KernelSocket {
  readonly #descriptor: number;
  readonly #scratch = NativeMemory.allocate(512);
  readonly #datagram = NativeMemory.allocate(DATAGRAM_LENGTH_MAX);

  constructor(local: UdpEndpoint) {
    this.#descriptor = openUdpSocket(local);
  }

  send(to: UdpEndpoint, data: Uint8Array): void {
    this.#datagram.bytes.set(data);
    const name = socketAddress(to);
    this.#scratch.bytes.set(name, NAME_AT);
    check(
      libc.sendto(this.#descriptor, this.#datagram.address, data.length, 0, this.#scratch.address, name.length),
      'sendto',
      `UDP to ${to.address}`,
    );
  }

  /** What has arrived, or `undefined`. */
  receive(): Datagram | undefined {
    const { address, view } = this.#scratch;
    view.setUint32(NAME_LENGTH_AT, 28, true);
    const length = libc.recvfrom(
      this.#descriptor,
      this.#datagram.address,
      DATAGRAM_LENGTH_MAX,
      MSG_DONTWAIT,
      address,
      address + NAME_LENGTH_AT,
    );
    if (length < 0) return undefined;
    return { from: readSocketAddress(view, NAME_AT), data: this.#datagram.bytes.slice(0, length) };
  }

  /** IPv4 options (`IP_OPTIONS`) or an IPv6 extension header that what is sent carries; none with no octets. */
  setHeaderOption(level: number, option: number, octets: Uint8Array): void {
    this.#scratch.bytes.set(octets, OPTION_AT);
    const at = this.#scratch.address + OPTION_AT;
    check(libc.setsockopt(this.#descriptor, level, option, at, octets.length), 'setsockopt', `IP option ${option}`);
  }

  close(): void {
    libc.close(this.#descriptor);
  }
}
