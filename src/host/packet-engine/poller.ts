import type { Instant } from '../../lib/time.ts';
import { check, EPOLL_CTL_ADD, EPOLL_CTL_DEL, EPOLLIN, ERRNO, lastErrno, libc, NativeMemory } from '../libc.ts';

/** Something with a descriptor that the engine reads from. */
export interface Readable {
  readonly descriptor: number;
  /** Reads at most one batch: what is left makes the descriptor readable again at once, after the others had their turn. */
  handleReadable(now: Instant): void;
}

// `struct epoll_event` is packed on x86-64 only: 12 octets there, 16 elsewhere with the data at 8.
const EVENT_LENGTH = process.arch === 'x64' ? 12 : 16;
const DATA_OFFSET = process.arch === 'x64' ? 4 : 8;
const EVENTS_PER_WAIT = 64;

/** Waits for descriptors (epoll(7), level-triggered). Blocks its whole thread. */
export class Poller {
  readonly #descriptor = check(libc.epollCreate(0o2000000), 'epoll_create1', 'packet engine');
  readonly #events = NativeMemory.allocate(EVENT_LENGTH * EVENTS_PER_WAIT);
  /** By descriptor. */
  readonly #sources: (Readable | undefined)[] = [];

  add(source: Readable): void {
    this.#sources[source.descriptor] = source;
    this.#events.view.setUint32(0, EPOLLIN, true);
    this.#events.view.setUint32(DATA_OFFSET, source.descriptor, true);
    const result = libc.epollControl(this.#descriptor, EPOLL_CTL_ADD, source.descriptor, this.#events.address);
    check(result, 'epoll_ctl', 'packet engine');
  }

  remove(descriptor: number): void {
    if (this.#sources[descriptor] === undefined) return;
    this.#sources[descriptor] = undefined;
    libc.epollControl(this.#descriptor, EPOLL_CTL_DEL, descriptor, this.#events.address);
  }

  /** Waits up to `timeout` milliseconds (-1: for good) and returns how many sources are readable; `source(i)` names them. */
  wait(timeout: number): number {
    const count = libc.epollWait(this.#descriptor, this.#events.address, EVENTS_PER_WAIT, timeout);
    if (count < 0 && lastErrno() === ERRNO.EINTR) return 0;
    return check(count, 'epoll_wait', 'packet engine');
  }

  /** The source of the i-th event of the last wait; `undefined` if it has been removed since. */
  source(index: number): Readable | undefined {
    return this.#sources[this.#events.view.getUint32(index * EVENT_LENGTH + DATA_OFFSET, true)];
  }

  close(): void {
    libc.close(this.#descriptor);
  }
}
