// What crosses between the control thread and the packet engine. Commands and IKE datagrams keep their order, since one port carries both.

import type { DataPlaneCounters } from '../../ipsec/counters.ts';
import type { AddressFamily, IpAddress, UdpPath } from '../../model/address.ts';
import type { DataPlaneCommand, DataPlaneEvent } from '../../model/data-plane.ts';
import type { TunnelOffload } from '../tunnel-device.ts';
import type { CounterMemory } from './engine-counters.ts';

export interface EngineTunnel {
  readonly name: string;
  readonly descriptor: number;
  readonly offload: TunnelOffload;
}

/** A UDP socket bound to a local address and port. */
export interface EngineUdpSocket {
  readonly address: IpAddress;
  readonly port: number;
  readonly descriptor: number;
  /** The one engine that has it; absent: all send through it, and the first receives. */
  readonly engine?: number;
  /** IKE's own: the control thread reads it. Or it is another engine's to read. */
  readonly isForSendingOnly: boolean;
  /** A socket of the same address and port that sends with DF and receives nothing; absent for IPv6, which has no DF. */
  readonly unfragmentedDescriptor?: number;
}

/** A raw socket: one that receives a protocol (ESP, AH, or ICMP's errors about what we sent), or one that sends whole packets. */
export interface EngineRawSocket {
  readonly family: AddressFamily;
  readonly protocol: 1 | 50 | 51 | 58 | 'send';
  readonly descriptor: number;
  /** The one engine that has it; absent: all send through it, and the first receives. */
  readonly engine?: number;
}

/** How packets cross to the engine that has their SA; empty where there is one. */
export interface EngineHandOver {
  readonly receive: number;
  /** Where to write what is for each engine. */
  readonly send: readonly number[];
}

/** What the worker is started with. Descriptors stay the control thread's to close. */
export interface EngineSettings {
  /** Its number, from 0. */
  readonly engine: number;
  readonly handOver: EngineHandOver;
  readonly wakeDescriptor: number;
  readonly rawSockets: readonly EngineRawSocket[];
  readonly counters: CounterMemory;
  /** What to do without, though it may be there: for tests of what older systems do. */
  readonly without: readonly EngineFeature[];
  /** One number: how many of the messages sent to the engine it has carried out. */
  readonly progress: Int32Array<SharedArrayBuffer>;
}

/** What makes the engine fast where it is there; without it everything works, slower. */
export type EngineFeature =
  /** The kernel splits one message into datagrams (UDP GSO, Linux 4.18). */
  | 'udp-segmentation'
  /** The kernel joins datagrams into one message (UDP GRO, Linux 5.0). */
  | 'udp-receive-offload'
  /** The kernel tells DSCP and ECN of a datagram, and takes them, in control messages. */
  | 'udp-traffic-class'
  /** Reads and writes of TUN devices in batches (io_uring, Linux 5.11). */
  | 'io-ring'
  /** WebAssembly with 128-bit vectors. */
  | 'vectors'
  /** A list of native calls made by a loop in machine code. */
  | 'machine-code'
  /** OpenSSL's functions, reached in the Node executable. */
  | 'openssl';

export type EngineRequest =
  /** An SA that the command adds counts in `cells`, which the control thread reads. */
  | { readonly kind: 'command'; readonly command: DataPlaneCommand; readonly cells?: Float64Array }
  | { readonly kind: 'transmit'; readonly path: UdpPath; readonly datagram: Uint8Array }
  | { readonly kind: 'add-tunnel'; readonly tunnel: EngineTunnel; readonly isForWritingOnly: boolean }
  | { readonly kind: 'remove-tunnel'; readonly name: string }
  | { readonly kind: 'add-udp-socket'; readonly socket: EngineUdpSocket }
  | { readonly kind: 'remove-udp-socket'; readonly descriptor: number }
  /** Answered by `settled` once everything before it has been carried out, and the turn that it fell into is over. */
  | { readonly kind: 'settle'; readonly id: number }
  | { readonly kind: 'stop' };

export type EngineReport =
  | { readonly kind: 'datagram'; readonly path: UdpPath; readonly datagram: Uint8Array }
  | { readonly kind: 'event'; readonly event: DataPlaneEvent }
  | { readonly kind: 'notice'; readonly text: string }
  | { readonly kind: 'settled'; readonly id: number }
  | { readonly kind: 'stopped' };

/** The data plane's totals, and beside them what the engine itself had to drop, by cause. */
export interface EngineCounters {
  readonly dataPlane: DataPlaneCounters;
  readonly engine: Readonly<Record<EngineCounterName, number>>;
}

/**
 * `tunnel-…`: TUN devices; `socket-…`: UDP and raw sockets; `…-over…`: to and from other engines. A full buffer is the kernel's way to say that we send faster than
 * it, or another engine, can.
 */
export type EngineCounterName =
  | 'tunnel-read'
  | 'tunnel-written'
  | 'tunnel-write-refused'
  | 'tunnel-queue-full'
  | 'tunnel-malformed'
  | 'tunnel-missing'
  | 'socket-received'
  | 'socket-sent'
  | 'socket-send-refused'
  | 'socket-buffer-full'
  | 'socket-too-big'
  | 'socket-missing'
  | 'handed-over'
  | 'taken-over'
  | 'hand-over-full'
  | 'ike-received'
  | 'keepalive-received'
  | 'malformed-received';
