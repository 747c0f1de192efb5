// One way for the kernel and us to talk, keyed by hand: what it is, the addresses and SPIs that are its alone, and its SAs in our words.
// The kernel is one gateway with one address of each family; each case has addresses of its own on our side.

import { SeededRandom } from '../../../src/lib/random.ts';
import { address, type IpAddress, type UdpPath } from '../../../src/model/address.ts';
import {
  type EncryptionAlgorithm,
  encryptionTraits,
  type IntegrityAlgorithm,
  integrityTraits,
} from '../../../src/model/algorithms.ts';
import type { DataPlaneCommand } from '../../../src/model/data-plane.ts';
import { type IpsecProtocol, type IpsecSa, policyId, type Spi, spi } from '../../../src/model/ipsec-sa.ts';
import { selectorFromAddress } from '../../../src/model/traffic-selector.ts';

export type Family = 4 | 6;

export interface CaseDescription {
  /** `bundle`: ESP with AH around it. */
  readonly protocol?: IpsecProtocol | 'bundle';
  readonly mode?: 'tunnel' | 'transport';
  readonly outer?: Family;
  /** In transport mode it is `outer`. */
  readonly inner?: Family;
  readonly isInUdp?: boolean;
  readonly encryption?: EncryptionAlgorithm;
  readonly integrity?: IntegrityAlgorithm;
  /** Extended sequence numbers. */
  readonly esn?: boolean;
  /** The sequence number that both ends have used last. */
  readonly sequence?: number;
  /** Ours is none: `sequence` is the kernel's alone. */
  readonly isOurSequenceFresh?: boolean;
  /** Octets that we pad inner packets to (RFC 4303 §2.7). */
  readonly tfcPadding?: number;
  /** More words for the kernel's SAs. */
  readonly kernelWords?: string;
  /** The kernel has other keys than we have. */
  readonly hasWrongKeys?: boolean;
  /** The kernel pads AH to eight octets in IPv4 too, and wants that of us: only good for receiving from it. */
  readonly isPaddedToEight?: boolean;
  /** What we send to the kernel's outer address goes on to its other one. */
  readonly isSourceRouted?: boolean;
  /** Appended to the title. */
  readonly remark?: string;
}

/** The kernel's addresses: outside, and in the network behind it. */
export const KERNEL = {
  outer: { 4: address('192.0.2.1'), 6: address('2001:db8::1') },
  inner: { 4: address('10.2.0.1'), 6: address('fd00:2::1') },
  /** Where source routes by way of `outer` end. */
  alias: address('192.0.2.9'),
} as const;

const UDP_PORT = 4500;
const REPLAY_WINDOW = 128;
const SPI_FIRST = 0x1000;
const SPIS_PER_CASE = 4;

export class KeyedCase {
  readonly protocol: IpsecProtocol | 'bundle';
  readonly mode: 'tunnel' | 'transport';
  readonly outer: Family;
  readonly inner: Family;
  readonly isInUdp: boolean;
  readonly esn: boolean;
  readonly sequence: number;
  readonly ourSequence: number;
  readonly tfcPadding: number | undefined;
  readonly kernelWords: string;
  readonly hasWrongKeys: boolean;
  readonly isPaddedToEight: boolean;
  /** Where what we send ends up: the kernel's SA is for that address. */
  readonly kernelDestination: IpAddress;
  readonly title: string;
  /** Names the case to the kernel, and its tunnel interface to us. */
  readonly number: number;
  readonly ourOuter: IpAddress;
  readonly ourInner: IpAddress;
  readonly #encryption: EncryptionAlgorithm;
  readonly #integrity: IntegrityAlgorithm;

  constructor(number: number, description: CaseDescription) {
    const { protocol = 'esp', mode = 'tunnel', outer = 4, inner = outer, encryption = 'aes-256-gcm' } = description;
    this.number = number;
    this.protocol = protocol;
    this.mode = mode;
    this.outer = outer;
    this.inner = mode === 'tunnel' ? inner : outer;
    this.isInUdp = description.isInUdp ?? false;
    this.esn = description.esn ?? false;
    this.sequence = description.sequence ?? 0;
    this.ourSequence = description.isOurSequenceFresh === true ? 0 : this.sequence;
    this.tfcPadding = description.tfcPadding;
    this.kernelWords = description.kernelWords ?? '';
    this.hasWrongKeys = description.hasWrongKeys ?? false;
    this.isPaddedToEight = description.isPaddedToEight ?? false;
    this.kernelDestination = description.isSourceRouted === true ? KERNEL.alias : KERNEL.outer[outer];
    this.#encryption = protocol === 'ah' ? 'null' : encryption;
    this.#integrity = description.integrity ?? 'none';
    this.ourOuter = address(outer === 4 ? `198.51.100.${number}` : `2001:db8:1::${number.toString(16)}`);
    const behind = address(this.inner === 4 ? `10.1.0.${number}` : `fd00:1::${number.toString(16)}`);
    this.ourInner = mode === 'tunnel' ? behind : this.ourOuter;
    this.title = this.#describe(description.remark);
  }

  get kernelOuter(): IpAddress {
    return KERNEL.outer[this.outer];
  }

  get kernelInner(): IpAddress {
    return this.mode === 'tunnel' ? KERNEL.inner[this.inner] : this.kernelOuter;
  }

  /** What ESP pads to a multiple of (RFC 4303 §2.4). */
  get alignment(): number {
    return this.protocol === 'ah' ? 1 : Math.max(4, encryptionTraits(this.#encryption).blockLength);
  }

  /** Route-based in tunnel mode, as from an `st0` unit; policy-based in transport mode. */
  get tunnelInterface(): string | undefined {
    return this.mode === 'tunnel' ? `st0.${this.number}` : undefined;
  }

  /** Seen from us. */
  get udpPath(): UdpPath {
    return {
      local: { address: this.ourOuter, port: UDP_PORT },
      remote: { address: this.kernelOuter, port: UDP_PORT },
    };
  }

  /** Our SAs, in the order in which they go around a packet: of a bundle first ESP, then AH. */
  sas(direction: 'inbound' | 'outbound'): readonly IpsecSa[] {
    if (this.protocol !== 'bundle') return [this.#sa(direction, this.protocol, this.#spi(direction, 0))];
    const ah = this.#spi(direction, 2);
    return [{ ...this.#sa(direction, 'esp', this.#spi(direction, 0)), wrappedInAh: ah }, this.#sa(direction, 'ah', ah)];
  }

  /** What makes our data plane carry this case. */
  commands(): readonly DataPlaneCommand[] {
    const [inbound, outbound] = [this.sas('inbound'), this.sas('outbound')];
    const [innermost] = outbound;
    if (!innermost) return [];
    const { policy, selectors } = innermost;
    const { tunnelInterface, tfcPadding } = this;
    return [
      {
        kind: 'put-policy',
        policy: {
          id: policy,
          order: this.number,
          action: 'protect',
          selectors,
          ...(tunnelInterface === undefined ? {} : { tunnelInterface }),
          dfBit: 'clear',
          copyOuterDscp: false,
          ...(tfcPadding === undefined ? {} : { tfcPadding }),
        },
      },
      ...inbound.map((sa) => ({ kind: 'add-inbound', sa }) as const),
      ...outbound.map((sa) => ({ kind: 'add-outbound', sa }) as const),
      { kind: 'use-outbound', policy, spi: innermost.spi },
    ];
  }

  #sa(direction: 'inbound' | 'outbound', protocol: IpsecProtocol, number: Spi): IpsecSa {
    const integrity = this.protocol === 'bundle' && protocol === 'esp' ? 'none' : this.#integrity;
    return {
      direction,
      protocol,
      spi: number,
      mode: this.mode,
      policy: policyId(`case-${this.number}`),
      localAddress: this.ourOuter,
      remoteAddress: this.kernelOuter,
      ...(this.isInUdp ? { udp: this.udpPath } : {}),
      encryption: protocol === 'ah' ? 'null' : this.#encryption,
      integrity,
      ...keysOf(number, this.#encryption, integrity),
      selectors: { local: selectorFromAddress(this.ourInner), remote: selectorFromAddress(this.kernelInner) },
      extendedSequenceNumbers: this.esn,
      replayWindow: REPLAY_WINDOW,
      lifetime: {},
    };
  }

  #spi(direction: 'inbound' | 'outbound', offset: number): Spi {
    return spi(SPI_FIRST + SPIS_PER_CASE * this.number + offset + (direction === 'inbound' ? 1 : 0));
  }

  #describe(remark: string | undefined): string {
    const protocol = this.protocol === 'bundle' ? 'ESP inside AH' : this.protocol.toUpperCase();
    const integrity = this.#integrity === 'none' ? [] : [this.#integrity];
    const algorithms = this.protocol === 'ah' ? integrity : [this.#encryption, ...integrity];
    const families = this.mode === 'tunnel' ? `IPv${this.inner} in IPv${this.outer}` : `IPv${this.outer}`;
    return [
      `${protocol} ${this.mode} mode, ${families}`,
      ...(this.isInUdp ? ['in UDP'] : []),
      algorithms.join(' with '),
      ...(this.esn ? ['extended sequence numbers'] : []),
      ...(remark === undefined ? [] : [remark]),
    ].join(', ');
  }
}

/** Both ends draw the same keys from the SPI. */
export function keysOf(
  seed: number,
  encryption: EncryptionAlgorithm,
  integrity: IntegrityAlgorithm,
): Pick<IpsecSa, 'encryptionKey' | 'integrityKey'> {
  const random = new SeededRandom(seed);
  const { keyLength, saltLength } = encryptionTraits(encryption);
  return {
    encryptionKey: random.bytes(keyLength + saltLength),
    integrityKey: random.bytes(integrityTraits(integrity).keyLength),
  };
}
