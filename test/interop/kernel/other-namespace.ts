// A second network namespace for the process that runs in the guest: joined to the first by a cable, and entered for as long as it takes to open
// sockets and devices there. Node's own way would be a second process, and to start one costs seconds under emulation.

import { spawnSync } from 'node:child_process';
import koffi from 'koffi';
import { check, libc, nativeString } from '../../../src/host/libc.ts';

const CLONE_NEWNET = 0x40000000;
const setns: (descriptor: number, kind: number) => number = koffi.load(null).func('setns', 'int', ['int', 'int']);

export class OtherNamespace {
  readonly #name: string;
  readonly #own: number;
  readonly #other: number;

  /** Makes the namespace, and a cable to it whose end has the same name on both sides. */
  constructor(name: string, cable: string) {
    this.#name = name;
    run(['netns', 'add', name]);
    // With one link-layer address at both ends, nobody has to ask for the other's: neighbor discovery would itself want IPsec.
    const end = ['address', '02:00:00:00:00:01'];
    run(['link', 'add', cable, ...end, 'type', 'veth', 'peer', 'name', cable, ...end, 'netns', name]);
    for (const where of [[], ['-n', name]]) run([...where, 'link', 'set', cable, 'arp', 'off']);
    this.#own = open('/proc/self/ns/net');
    this.#other = open(`/run/netns/${name}`);
  }

  /** What is done in `action`, which must not wait for anything, is done in the namespace. */
  within<T>(action: () => T): T {
    check(setns(this.#other, CLONE_NEWNET), 'setns', this.#name);
    try {
      return action();
    } finally {
      check(setns(this.#own, CLONE_NEWNET), 'setns', 'the first namespace');
    }
  }

  /** Has `ip` do all of this in the namespace. */
  configure(lines: readonly string[]): void {
    run(['-n', this.#name, '-batch', '-'], lines.join('\n'));
  }

  remove(): void {
    for (const descriptor of [this.#own, this.#other]) libc.close(descriptor);
    run(['netns', 'delete', this.#name]);
  }
}

function open(path: string): number {
  return check(libc.open(nativeString(path).address, 0, 0), 'open', path);
}

function run(args: readonly string[], input = ''): void {
  const { status, stderr, error } = spawnSync('ip', args, { input, encoding: 'utf8' });
  if (status !== 0) throw new Error(`ip ${args.join(' ')}: ${error?.message ?? stderr}`);
}
