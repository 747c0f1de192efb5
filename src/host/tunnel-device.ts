// One TUN device for each st0 unit, named exactly like it: so Linux' routing table chooses the tunnel, and tcpdump, `ip route`
// and routing daemons see what they would see on a Junos st0 unit. The device goes when its descriptor is closed, however the process ends.

import { check, libc, NativeMemory, nativeString, O_CLOEXEC, O_NONBLOCK, O_RDWR, SystemCallError } from './libc.ts';

const TUNSETIFF = 0x400454ca;
const TUNSETOFFLOAD = 0x400454d0;
const IFF_TUN = 0x0001;
const IFF_NO_PI = 0x1000;
const IFF_VNET_HDR = 0x4000;
const TUN_F_CSUM = 0x01;
const TUN_F_TSO4 = 0x02;
const TUN_F_TSO6 = 0x04;
const TUN_F_USO4 = 0x20;
const TUN_F_USO6 = 0x40;
const TSO = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6;
const USO = TUN_F_USO4 | TUN_F_USO6;
const INTERFACE_NAME_MAX = 15;

/** What the kernel gives with each packet: `none`, checksums left undone and TCP super-segments, or those of UDP as well. */
export type TunnelOffload = 'none' | 'tcp' | 'tcp-and-udp';

export interface TunnelDevice {
  readonly name: string;
  /** Non-blocking. With any offload, each packet starts with a ten-octet `virtio_net_hdr`. */
  readonly descriptor: number;
  readonly offload: TunnelOffload;
}

/** Opens the device, with as much of the offload as this kernel has; throws an Error that says what is missing if it refuses. */
export function openTunnelDevice(name: string, wanted: TunnelOffload): TunnelDevice {
  try {
    return open(name, wanted);
  } catch (error) {
    // EINVAL: a kernel, or what stands in for one, whose TUN devices have no virtio header, or no offloads.
    const cause = error instanceof Error ? error.cause : undefined;
    if (wanted === 'none' || !(cause instanceof SystemCallError) || cause.code !== 'EINVAL') throw error;
    return open(name, 'none');
  }
}

function open(name: string, wanted: TunnelOffload): TunnelDevice {
  if (Buffer.byteLength(name) > INTERFACE_NAME_MAX) throw new Error(`${name}: an interface name has at most 15 octets`);
  const path = nativeString('/dev/net/tun');
  const descriptor = libc.open(path.address, O_RDWR | O_NONBLOCK | O_CLOEXEC, 0);
  if (descriptor < 0) explain(name, () => check(descriptor, 'open', `TUN device ${name}`));
  try {
    const request = NativeMemory.allocate(128);
    request.bytes.set(Buffer.from(name, 'utf8'));
    request.view.setUint16(16, IFF_TUN | IFF_NO_PI | (wanted === 'none' ? 0 : IFF_VNET_HDR), true);
    explain(name, () => check(libc.ioctl(descriptor, TUNSETIFF, request.address), 'TUNSETIFF', `TUN device ${name}`));
    return { name, descriptor, offload: wanted === 'none' ? 'none' : enableOffload(name, descriptor, wanted) };
  } catch (error) {
    libc.close(descriptor);
    throw error;
  }
}

// USO came with Linux 6.2: an older kernel refuses the whole set, and gets the rest.
function enableOffload(name: string, descriptor: number, wanted: TunnelOffload): TunnelOffload {
  if (wanted === 'tcp-and-udp' && libc.ioctl(descriptor, TUNSETOFFLOAD, TSO | USO) === 0) return 'tcp-and-udp';
  explain(name, () => check(libc.ioctl(descriptor, TUNSETOFFLOAD, TSO), 'TUNSETOFFLOAD', `TUN device ${name}`));
  return 'tcp';
}

function explain<T>(name: string, action: () => T): T {
  try {
    return action();
  } catch (error) {
    if (!(error instanceof SystemCallError)) throw error;
    throw new Error(`cannot make the tunnel interface ${name}: ${REASONS[error.code] ?? error.message}`, {
      cause: error,
    });
  }
}

const NEEDS_ADMIN = 'it needs CAP_NET_ADMIN (run as root, or in a container with --cap-add NET_ADMIN)';
const REASONS: Readonly<Record<string, string>> = {
  ENOENT: '/dev/net/tun is missing (load the module with `modprobe tun`; in a container, add --device /dev/net/tun)',
  ENODEV: 'the kernel has no TUN driver (`modprobe tun`)',
  ENXIO: 'the kernel has no TUN driver (`modprobe tun`)',
  EACCES: NEEDS_ADMIN,
  EPERM: NEEDS_ADMIN,
  EBUSY: 'an interface of that name exists and is in use (is another Sallyport running in this network namespace?)',
};
