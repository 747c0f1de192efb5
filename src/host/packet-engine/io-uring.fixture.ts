import { release } from 'node:os';
import { libc, NativeMemory } from '../libc.ts';

const SYS_IO_URING_SETUP = 425;

/** Why TUN devices cannot be read through io_uring here, found out without the code under test; `false` if they can. */
export function whyNoIoUring(): string | false {
  const [major = 0, minor = 0] = release().split('.').map(Number);
  if (process.platform !== 'linux' || major * 100 + minor < 604) return 'needs Linux 6.4, for io_uring and TUN devices';
  const descriptor = libc.syscall(SYS_IO_URING_SETUP, 1, NativeMemory.allocate(128).address, 0, 0, 0, 0);
  if (descriptor < 0) return 'this process may not use io_uring';
  libc.close(descriptor);
  return false;
}
