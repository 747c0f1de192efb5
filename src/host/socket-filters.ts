// Classic BPF programs: which of several sockets a packet is for. An inbound SA has one owner, the engine that its SPI leaves as the remainder.

import { check, libc, NativeMemory, SOL_SOCKET } from './libc.ts';

const SO_ATTACH_FILTER = 26;
const SO_ATTACH_REUSEPORT_CBPF = 51;
const INSTRUCTIONS_OFFSET = 16;

// linux/bpf_common.h
const LOAD_WORD = 0x20;
const LOAD_WORD_AT_X = 0x40;
const LOAD_LENGTH = 0x80;
const LOAD_X_IP_HEADER_LENGTH = 0xb1;
const ADD = 0x04;
const REMAINDER = 0x94;
const X_TO_ACCUMULATOR = 0x87;
const ACCUMULATOR_TO_X = 0x07;
const JUMP_IF_EQUAL = 0x15;
const JUMP_IF_NOT_LESS = 0x35;
const JUMP_IF_NOT_LESS_THAN_X = 0x3d;
const RETURN = 0x06;
const RETURN_ACCUMULATOR = 0x16;
const WHOLE_PACKET = 0x40000;

/** Code, how many instructions to skip if so and if not, and a constant. */
type Instruction = readonly [code: number, ifTrue: number, ifFalse: number, value: number];

/**
 * Of sockets that share a UDP port, the first `engines` are for ESP and the one behind them for IKE. The program sees the UDP payload: a
 * first word of zero is the non-ESP marker (RFC 3948 §2.2), any other an SPI; what is shorter goes to the first socket. Throws a
 * SystemCallError where the kernel has no such programs.
 */
export function attachPortFilter(descriptor: number, engines: number): void {
  attach(descriptor, SO_ATTACH_REUSEPORT_CBPF, [
    [LOAD_WORD, 0, 0, 0],
    [JUMP_IF_EQUAL, 0, 1, 0],
    [RETURN, 0, 0, engines],
    [REMAINDER, 0, 0, engines],
    [RETURN_ACCUMULATOR, 0, 0, 0],
  ]);
}

/**
 * Every raw socket of a protocol receives every packet of it: this one keeps what is for `engine`. What is too short to have an SPI is
 * kept by the first engine, which counts it.
 */
export function attachSpiFilter(descriptor: number, family: 4 | 6, spiOffset: number, engine: number, engines: number) {
  const whenShort = engine === 0 ? WHOLE_PACKET : 0;
  const needed = spiOffset + 4;
  // IPv4 packets come with their header, IPv6 ones begin with the header of the protocol.
  const load: readonly Instruction[] =
    family === 4
      ? [
          [LOAD_X_IP_HEADER_LENGTH, 0, 0, 0],
          [X_TO_ACCUMULATOR, 0, 0, 0],
          [ADD, 0, 0, needed],
          [ACCUMULATOR_TO_X, 0, 0, 0],
          [LOAD_LENGTH, 0, 0, 0],
          [JUMP_IF_NOT_LESS_THAN_X, 1, 0, 0],
          [RETURN, 0, 0, whenShort],
          [LOAD_X_IP_HEADER_LENGTH, 0, 0, 0],
          [LOAD_WORD_AT_X, 0, 0, spiOffset],
        ]
      : [
          [LOAD_LENGTH, 0, 0, 0],
          [JUMP_IF_NOT_LESS, 1, 0, needed],
          [RETURN, 0, 0, whenShort],
          [LOAD_WORD, 0, 0, spiOffset],
        ];
  attach(descriptor, SO_ATTACH_FILTER, [
    ...load,
    [REMAINDER, 0, 0, engines],
    [JUMP_IF_EQUAL, 0, 1, engine],
    [RETURN, 0, 0, WHOLE_PACKET],
    [RETURN, 0, 0, 0],
  ]);
}

function attach(descriptor: number, option: number, program: readonly Instruction[]): void {
  const memory = NativeMemory.allocate(256);
  for (const [index, [code, ifTrue, ifFalse, value]] of program.entries()) {
    const at = INSTRUCTIONS_OFFSET + index * 8;
    memory.view.setUint16(at, code, true);
    memory.view.setUint8(at + 2, ifTrue);
    memory.view.setUint8(at + 3, ifFalse);
    memory.view.setUint32(at + 4, value, true);
  }
  memory.view.setUint16(0, program.length, true);
  memory.view.setBigUint64(8, BigInt(memory.address + INSTRUCTIONS_OFFSET), true);
  const result = libc.setsockopt(descriptor, SOL_SOCKET, option, memory.address, INSTRUCTIONS_OFFSET);
  check(result, 'setsockopt', 'socket filter');
}
