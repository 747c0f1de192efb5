import { type ChildProcess, type SpawnOptions, spawn, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';

/** One end of a cable between two namespaces. */
export interface CableEnd {
  readonly namespace: string;
  readonly interface: string;
  /** With its prefix length, such as `10.1.0.1/24`. Absent: the end has no address. */
  readonly address?: string;
}

/** What a program left behind. `status` is -1 if it was ended by a signal or never started. */
export interface Finished {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Names begin so; the number is the process that made them, so that what a dead one left behind can be told and removed. */
const NAME = /^sp(\d+)[a-z]*-/;

/** Linux network namespaces that belong to this process, with the cables between them and the programs in them. */
export class Namespaces {
  readonly #prefix: string;
  readonly #names = new Map<string, string>();
  readonly #children = new Set<ChildProcess>();

  /** `label` tells several sets of one process apart: lower-case letters. */
  constructor(label = '') {
    this.#prefix = `sp${process.pid}${label}-`;
  }

  /** Makes namespaces, each with its loopback up. */
  add(...names: readonly string[]): void {
    for (const name of names) {
      const full = this.#prefix + name;
      ip('netns', 'add', full);
      this.#names.set(name, full);
      ip('-n', full, 'link', 'set', 'lo', 'up');
    }
  }

  /** The name that `ip netns` knows. */
  fullName(name: string): string {
    return this.#names.get(name) ?? name;
  }

  /** Joins two namespaces by a pair of virtual Ethernet interfaces, both up. */
  connect(a: CableEnd, b: CableEnd): void {
    const far = ['peer', 'name', b.interface, 'netns', this.fullName(b.namespace)];
    ip('-n', this.fullName(a.namespace), 'link', 'add', a.interface, 'type', 'veth', ...far);
    for (const end of [a, b]) {
      if (end.address) this.ip(end.namespace, 'address', 'add', end.address, 'dev', end.interface, 'nodad');
      this.ip(end.namespace, 'link', 'set', end.interface, 'up');
    }
  }

  /** Runs `ip` on a namespace; throws with ip's own words if it fails. */
  ip(namespace: string, ...args: readonly string[]): string {
    return ip('-n', this.fullName(namespace), ...args);
  }

  /** Makes a namespace pass packets on between its interfaces. */
  enableForwarding(namespace: string): void {
    const settings = ['net.ipv4.ip_forward=1', 'net.ipv6.conf.all.forwarding=1'];
    const done = this.run(namespace, 'sysctl', ['-qw', ...settings]);
    if (done.status !== 0) throw new Error(`sysctl: ${done.stderr}`);
  }

  /** Runs a program in a namespace to its end. */
  run(namespace: string, program: string, args: readonly string[], timeoutMilliseconds = 60_000): Finished {
    const done = spawnSync('ip', ['netns', 'exec', this.fullName(namespace), program, ...args], {
      encoding: 'utf8',
      timeout: timeoutMilliseconds,
    });
    return { status: done.status ?? -1, stdout: done.stdout ?? '', stderr: done.stderr ?? done.error?.message ?? '' };
  }

  /** As `run`, without stopping this process meanwhile. */
  runAsync(
    namespace: string,
    program: string,
    args: readonly string[],
    timeoutMilliseconds = 60_000,
  ): Promise<Finished> {
    const child = this.spawn(namespace, program, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    const deadline = setTimeout(() => child.kill('SIGKILL'), timeoutMilliseconds);
    let stdout = '';
    let stderr = '';
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
    });
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
    });
    return new Promise((resolve) => {
      child.once('close', (status) => {
        clearTimeout(deadline);
        resolve({ status: status ?? -1, stdout, stderr });
      });
      child.once('error', (error) => {
        clearTimeout(deadline);
        resolve({ status: -1, stdout, stderr: error.message });
      });
    });
  }

  /** Starts a program in a namespace; it is ended by `remove` at the latest. `ip netns exec` becomes the program, so the child's id is its own. */
  spawn(namespace: string, program: string, args: readonly string[], options: SpawnOptions = {}): ChildProcess {
    const child = spawn('ip', ['netns', 'exec', this.fullName(namespace), program, ...args], options);
    this.#children.add(child);
    child.once('exit', () => this.#children.delete(child));
    return child;
  }

  /** Ends the programs and removes the namespaces, and with them their interfaces and routes. Safe to call twice. */
  remove(): void {
    for (const child of this.#children) child.kill('SIGKILL');
    this.#children.clear();
    for (const full of this.#names.values()) removeNamespace(full);
    this.#names.clear();
  }
}

/** Removes the namespaces of processes that no longer live: a lab that was killed could not clean up. Returns their names. */
export function removeStaleNamespaces(): readonly string[] {
  const listed = spawnSync('ip', ['netns', 'list'], { encoding: 'utf8' }).stdout ?? '';
  const names = listed.split('\n').map((line) => line.split(' ')[0] ?? '');
  const stale = names.filter((name) => {
    const owner = name.match(NAME)?.[1];
    return owner !== undefined && !existsSync(`/proc/${owner}`);
  });
  for (const name of stale) removeNamespace(name);
  return stale;
}

function removeNamespace(full: string): void {
  // Only what runs in a namespace that we made, each by its id.
  const inside = spawnSync('ip', ['netns', 'pids', full], { encoding: 'utf8' }).stdout ?? '';
  for (const id of inside.split('\n').map(Number)) if (id > 1 && id !== process.pid) endProcess(id);
  spawnSync('ip', ['netns', 'delete', full]);
}

function endProcess(id: number): void {
  try {
    process.kill(id, 'SIGKILL');
  } catch {
    // It has ended by itself since it was listed.
  }
}

function ip(...args: readonly string[]): string {
  const done = spawnSync('ip', args, { encoding: 'utf8' });
  if (done.status !== 0) throw new Error(`ip ${args.join(' ')}: ${(done.stderr ?? done.error?.message ?? '').trim()}`);
  return done.stdout;
}

/** Why namespaces cannot be made here, or `undefined` if they can. */
export function whyNoNamespaces(): string | undefined {
  if (process.platform !== 'linux') return 'network namespaces are a Linux feature';
  if (process.getuid?.() !== 0) return 'network namespaces and TUN devices need root (CAP_NET_ADMIN)';
  if (!existsSync('/dev/net/tun')) return '/dev/net/tun is not there (modprobe tun)';
  const probe = spawnSync('ip', ['netns', 'add', `sp${process.pid}probe-x`], { encoding: 'utf8' });
  if (probe.error) return 'the program ip (package iproute2) is not installed';
  if (probe.status !== 0) return `this machine does not let us make network namespaces: ${probe.stderr.trim()}`;
  spawnSync('ip', ['netns', 'delete', `sp${process.pid}probe-x`]);
  return undefined;
}
