import type { UdpEndpoint, UdpPath } from '../../model/address.ts';
import { AF_INET } from '../libc.ts';
import { readSocketAddress, SOCKET_ADDRESS_LENGTH_MAX, socketAddress } from '../socket-address.ts';
import type { Arena } from './arena.ts';
import type { SendTarget } from './send-batch.ts';

// Anyone may send from any address: the table forgets everything when it is full, and starts again.
const PATHS_MAX = 1024;
/** Longer than any datagram: nothing has been refused yet. */
const NO_LIMIT = 65_536;

/** Turns the peer addresses that the kernel writes into paths and back, without making a new object for each packet. */
export class PathTable {
  readonly #arena: Arena;
  readonly #descriptor: number;
  readonly #local: UdpEndpoint;
  readonly #isSplitByKernel: boolean;
  readonly #takesTrafficClass: boolean;
  readonly #bySource = new Map<number, UdpPath>();
  /** SAs bring a path each; those to one endpoint have one target, so that their packets leave in one message. */
  readonly #byPath = new WeakMap<UdpPath, SendTarget>();
  readonly #byEndpoint = new Map<string, SendTarget>();
  #lastPath: UdpPath | undefined;
  #lastTarget: SendTarget | undefined;
  // Of the IPv4 source seen last; the address as a number with a sign, which is never an object.
  #lastAddress = 0;
  #lastPort = 0;
  #lastIpv4: UdpPath | undefined;
  readonly #lastIpv6Source = new Uint8Array(SOCKET_ADDRESS_LENGTH_MAX);
  #lastIpv6: UdpPath | undefined;

  /** What the kernel is expected to do for what goes out here until it refuses: see `SendTarget`. */
  constructor(
    arena: Arena,
    descriptor: number,
    local: UdpEndpoint,
    { isSplitByKernel, takesTrafficClass }: { readonly isSplitByKernel: boolean; readonly takesTrafficClass: boolean },
  ) {
    this.#arena = arena;
    this.#descriptor = descriptor;
    this.#local = local;
    this.#isSplitByKernel = isSplitByKernel;
    this.#takesTrafficClass = takesTrafficClass;
  }

  /** The path of a datagram whose source the kernel wrote at `offset`; `undefined` for an unknown address family. */
  pathFrom(offset: number): UdpPath | undefined {
    const { view } = this.#arena.memory;
    // IPv6 endpoints do not fit a number: each datagram makes its own path, unless the endpoint is the one seen last.
    if (view.getUint16(offset, true) !== AF_INET) return this.#pathFromIpv6(offset);
    const address = view.getInt32(offset + 4);
    const port = view.getUint16(offset + 2);
    if (this.#lastIpv4 !== undefined && address === this.#lastAddress && port === this.#lastPort) return this.#lastIpv4;
    this.#lastAddress = address;
    this.#lastPort = port;
    this.#lastIpv4 = this.#pathFromIpv4(offset, (address >>> 0) * 65_536 + port);
    return this.#lastIpv4;
  }

  #pathFromIpv4(offset: number, key: number): UdpPath | undefined {
    const known = this.#bySource.get(key);
    if (known) return known;
    const made = this.#makePath(offset);
    if (this.#bySource.size >= PATHS_MAX) this.#bySource.clear();
    if (made) this.#bySource.set(key, made);
    return made;
  }

  /** Where to send what follows this path. */
  target(path: UdpPath): SendTarget {
    if (this.#lastTarget !== undefined && this.#lastPath === path) return this.#lastTarget;
    let target = this.#byPath.get(path);
    if (!target) {
      target = this.#targetOf(path.remote);
      this.#byPath.set(path, target);
    }
    this.#lastPath = path;
    this.#lastTarget = target;
    return target;
  }

  #targetOf(remote: UdpEndpoint): SendTarget {
    const key = `${remote.address} ${remote.port}`;
    const known = this.#byEndpoint.get(key);
    if (known) return known;
    if (this.#byEndpoint.size >= PATHS_MAX) this.#byEndpoint.clear();
    const target = {
      descriptor: this.#descriptor,
      address: socketAddress(remote),
      segmentLengthMax: this.#isSplitByKernel ? NO_LIMIT : 0,
      takesTrafficClass: this.#takesTrafficClass,
    };
    this.#byEndpoint.set(key, target);
    return target;
  }

  #pathFromIpv6(offset: number): UdpPath | undefined {
    const { bytes } = this.#arena.memory;
    const last = this.#lastIpv6Source;
    let isSame = this.#lastIpv6 !== undefined;
    for (let index = 0; isSame && index < last.length; index++) isSame = bytes[offset + index] === last[index];
    if (isSame) return this.#lastIpv6;
    last.set(bytes.subarray(offset, offset + last.length));
    this.#lastIpv6 = this.#makePath(offset);
    return this.#lastIpv6;
  }

  #makePath(offset: number): UdpPath | undefined {
    const remote = readSocketAddress(this.#arena.memory.view, offset);
    return remote && { local: this.#local, remote };
  }
}
