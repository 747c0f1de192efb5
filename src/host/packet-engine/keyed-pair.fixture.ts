import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { Namespaces } from '../../../lab/namespaces.ts';
import type { KeyedGatewaySettings } from './keyed-gateway.fixture.ts';
import type { EngineCounters } from './messages.ts';

/** The outer network between the two namespaces `a` and `b`. */
export const OUTER = { a: '192.0.2.1', b: '192.0.2.2', a6: '2001:db8::1', b6: '2001:db8::2' } as const;

/** Two namespaces `a` and `b` joined by a veth pair, which carries IPv4 and IPv6. */
export function joinedNamespaces(label: string): Namespaces {
  const namespaces = new Namespaces(label);
  namespaces.add('a', 'b');
  namespaces.connect(
    { namespace: 'a', interface: 'wire', address: `${OUTER.a}/24` },
    { namespace: 'b', interface: 'wire', address: `${OUTER.b}/24` },
  );
  namespaces.ip('a', 'address', 'add', `${OUTER.a6}/64`, 'dev', 'wire', 'nodad');
  namespaces.ip('b', 'address', 'add', `${OUTER.b6}/64`, 'dev', 'wire', 'nodad');
  return namespaces;
}

/** A gateway keyed by hand that runs in a namespace. */
export class KeyedGateway {
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;

  private constructor(child: ChildProcess, lines: AsyncIterator<string>) {
    this.#child = child;
    this.#lines = lines;
  }

  /** Starts it and waits until it carries packets. */
  static async start(
    namespaces: Namespaces,
    namespace: string,
    settings: KeyedGatewaySettings,
    nodeOptions: readonly string[] = [],
  ): Promise<KeyedGateway> {
    const program = new URL('./keyed-gateway.fixture.js', import.meta.url).pathname;
    const child = namespaces.spawn(
      namespace,
      process.execPath,
      ['--enable-source-maps', ...nodeOptions, program, JSON.stringify(settings)],
      { stdio: ['pipe', 'pipe', 'inherit'] },
    );
    if (!child.stdout) throw new Error('the gateway has no output');
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    const first = await lines.next();
    if (first.value !== 'ready') throw new Error(`the gateway in ${namespace} did not start: ${first.value}`);
    return new KeyedGateway(child, lines);
  }

  get processId(): number | undefined {
    return this.#child.pid;
  }

  /** The engine's counters; how many datagrams came to IKE's own sockets; and how late the control thread was since the last call, in milliseconds. */
  async counters(): Promise<{
    readonly counters: EngineCounters;
    readonly ikeCount: number;
    readonly engines: readonly EngineCounters[];
    readonly controlDelay: { readonly mean: number; readonly highest: number };
  }> {
    this.#child.stdin?.write('count\n');
    const line = await this.#lines.next();
    return JSON.parse(line.value ?? '{}');
  }

  /** Does a step of a rekey to the keys of this generation, and waits until the engine has done it. */
  async rekey(step: 'receive' | 'send' | 'forget', generation: number): Promise<void> {
    this.#child.stdin?.write(`${step} ${generation}\n`);
    await this.#lines.next();
  }

  async stop(): Promise<void> {
    const exit = once(this.#child, 'exit');
    this.#child.stdin?.end();
    await exit;
  }
}
