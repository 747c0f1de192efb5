// The system calls that Node does not offer, reached in the C library of the running process through FFI (koffi).
// Every pointer is a Number: an address inside a `NativeMemory`, since passing typed arrays costs more at each call.

import { constants } from 'node:os';
import { getSystemErrorName } from 'node:util';
import { invariant } from '../lib/invariant.ts';
import { foreignFunctions, whyNoForeignFunctions } from './foreign-functions.ts';

const SUBSPACE = 2 ** 32;

/** Octets whose address does not change: typed arrays over it and system calls see the same memory. */
export class NativeMemory {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  /** The same octets as words in the machine's order. */
  readonly words: Uint32Array;
  /** Address of the first octet. */
  readonly address: number;
  readonly #low: number;
  readonly #high: number;

  /** Wraps a buffer that is never detached or grown; it must not be smaller than 65 octets, which V8 keeps on its moving heap. */
  constructor(buffer: ArrayBuffer) {
    invariant(buffer.byteLength > 64, 'native memory lies outside the moving heap');
    this.bytes = new Uint8Array(buffer);
    this.view = new DataView(buffer);
    this.words = new Uint32Array(buffer, 0, buffer.byteLength >> 2);
    this.address = Number(foreignFunctions?.address(buffer) ?? 0);
    this.#high = Math.floor(this.address / SUBSPACE);
    this.#low = this.address - this.#high * SUBSPACE;
  }

  /** Writes the address of the octet at `offset` into the eight octets at `at`, a multiple of four; allocates nothing, as handing over an address would. */
  putAddress(at: number, offset: number): void {
    this.putAddressInto(this.words, at >>> 2, offset);
  }

  /** The same into two words of other memory. */
  putAddressInto(words: Uint32Array, index: number, offset: number): void {
    const low = this.#low + offset;
    // A typed array keeps the lower 32 bits.
    words[index] = low;
    words[index + 1] = low < SUBSPACE ? this.#high : this.#high + 1;
  }

  static allocate(length: number): NativeMemory {
    return new NativeMemory(new ArrayBuffer(length));
  }
}

/** A system call that failed, with its name, its error code (`EPERM`) and what it was for. */
export class SystemCallError extends Error {
  readonly call: string;
  readonly code: string;

  constructor(call: string, code: string, purpose: string) {
    super(`${purpose}: ${call} failed with ${code}`);
    this.name = 'SystemCallError';
    this.call = call;
    this.code = code;
  }
}

const library = foreignFunctions?.load(null);

// On a system without the function (no Linux), or without FFI, the program still starts, and says so where the call is needed.
function bind(name: string, result: string, parameters: readonly string[]): NumericFunction {
  try {
    if (library) return library.func(name, result, [...parameters]);
  } catch {
    // There is no such function.
  }
  return () => {
    throw new SystemCallError(name, 'ENOSYS', whyNoForeignFunctions() ?? 'this operating system is not supported');
  };
}

type NumericFunction = (...parameters: number[]) => number;

export const libc = {
  socket: bind('socket', 'int', ['int', 'int', 'int']),
  socketpair: bind('socketpair', 'int', ['int', 'int', 'int', 'uintptr_t']),
  bind: bind('bind', 'int', ['int', 'uintptr_t', 'uint32_t']),
  setsockopt: bind('setsockopt', 'int', ['int', 'int', 'int', 'uintptr_t', 'uint32_t']),
  getsockopt: bind('getsockopt', 'int', ['int', 'int', 'int', 'uintptr_t', 'uintptr_t']),
  getsockname: bind('getsockname', 'int', ['int', 'uintptr_t', 'uintptr_t']),
  sendto: bind('sendto', 'int', ['int', 'uintptr_t', 'size_t', 'int', 'uintptr_t', 'uint32_t']),
  recvfrom: bind('recvfrom', 'int', ['int', 'uintptr_t', 'size_t', 'int', 'uintptr_t', 'uintptr_t']),
  sendmsg: bind('sendmsg', 'int', ['int', 'uintptr_t', 'int']),
  recvmsg: bind('recvmsg', 'int', ['int', 'uintptr_t', 'int']),
  sendmmsg: bind('sendmmsg', 'int', ['int', 'uintptr_t', 'uint32_t', 'int']),
  recvmmsg: bind('recvmmsg', 'int', ['int', 'uintptr_t', 'uint32_t', 'int', 'uintptr_t']),
  read: bind('read', 'int', ['int', 'uintptr_t', 'size_t']),
  write: bind('write', 'int', ['int', 'uintptr_t', 'size_t']),
  readv: bind('readv', 'int', ['int', 'uintptr_t', 'int']),
  writev: bind('writev', 'int', ['int', 'uintptr_t', 'int']),
  open: bind('open', 'int', ['uintptr_t', 'int', 'int']),
  close: bind('close', 'int', ['int']),
  ioctl: bind('ioctl', 'int', ['int', 'uint64_t', 'uintptr_t']),
  mmap: bind('mmap', 'uintptr_t', ['uintptr_t', 'size_t', 'int', 'int', 'int', 'int64_t']),
  mprotect: bind('mprotect', 'int', ['uintptr_t', 'size_t', 'int']),
  memcpy: bind('memcpy', 'uintptr_t', ['uintptr_t', 'uintptr_t', 'size_t']),
  dlsym: bind('dlsym', 'uintptr_t', ['uintptr_t', 'uintptr_t']),
  syscall: bind('syscall', 'int', [
    'int',
    'uintptr_t',
    'uintptr_t',
    'uintptr_t',
    'uintptr_t',
    'uintptr_t',
    'uintptr_t',
  ]),
  eventfd: bind('eventfd', 'int', ['uint32_t', 'int']),
  epollCreate: bind('epoll_create1', 'int', ['int']),
  epollControl: bind('epoll_ctl', 'int', ['int', 'int', 'int', 'uintptr_t']),
  epollWait: bind('epoll_wait', 'int', ['int', 'uintptr_t', 'int', 'int']),
};

/** The code of the last failed call on this thread, such as `EAGAIN`. */
function lastErrorCode(): string {
  return getSystemErrorName(-lastErrno());
}

/** The number of the last error on this thread: compare it with `ERRNO` where a name would cost too much. */
export function lastErrno(): number {
  return foreignFunctions?.errno() ?? 0;
}

export const ERRNO = constants.errno;

/** Passes on a result that is not negative; throws a SystemCallError otherwise. */
export function check(result: number, call: string, purpose: string): number {
  if (result < 0) throw new SystemCallError(call, lastErrorCode(), purpose);
  return result;
}

/** A NUL-terminated string in native memory. */
export function nativeString(text: string): NativeMemory {
  const encoded = Buffer.from(text, 'utf8');
  const memory = NativeMemory.allocate(Math.max(encoded.length + 1, 65));
  memory.bytes.set(encoded);
  return memory;
}

// The numbers below are those of <linux/*.h> and <bits/*.h> for x86-64 and arm64, which agree on them.
export const AF_UNIX = 1;
export const AF_INET = 2;
export const AF_INET6 = 10;
export const AF_NETLINK = 16;
export const SOCK_DGRAM = 2;
export const SOCK_RAW = 3;
export const SOCK_SEQPACKET = 5;
export const SOCK_CLOEXEC = 0o2000000;
export const SOCK_NONBLOCK = 0o4000;
export const MSG_DONTWAIT = 0x40;
export const SOL_SOCKET = 1;
export const SO_SNDBUFFORCE = 32;
export const SO_RCVBUFFORCE = 33;
export const SO_MARK = 36;
export const IPPROTO_IP = 0;
export const IPPROTO_ICMP = 1;
export const IPPROTO_IPV6 = 41;
export const IPPROTO_ICMPV6 = 58;
export const IPPROTO_RAW = 255;
export const IP_TOS = 1;
export const IP_HDRINCL = 3;
export const IP_MTU_DISCOVER = 10;
export const IP_RECVTOS = 13;
export const IPV6_MTU_DISCOVER = 23;
export const IPV6_V6ONLY = 26;
export const IPV6_RECVPKTINFO = 49;
export const IPV6_PKTINFO = 50;
export const IPV6_RECVTCLASS = 66;
export const IPV6_TCLASS = 67;
export const IPV6_RECVHOPOPTS = 53;
export const IPV6_HOPOPTS = 54;
export const IPV6_RECVRTHDR = 56;
export const IPV6_RTHDR = 57;
export const IPV6_RECVDSTOPTS = 58;
export const IPV6_DSTOPTS = 59;
export const EPOLLIN = 1;
export const EPOLL_CTL_ADD = 1;
export const EPOLL_CTL_DEL = 2;
export const EFD_NONBLOCK = 0o4000;
export const EFD_CLOEXEC = 0o2000000;
export const O_RDWR = 2;
export const O_NONBLOCK = 0o4000;
export const O_CLOEXEC = 0o2000000;
