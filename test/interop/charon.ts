import type { ChildProcess } from 'node:child_process';
import { existsSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Finished, Namespaces } from '../../lab/namespaces.ts';

const CHARON = '/usr/lib/ipsec/charon';
const SWANCTL = '/usr/sbin/swanctl';
const LIBIPSEC = '/usr/lib/ipsec/plugins/libstrongswan-kernel-libipsec.so';

const PLUGINS = [
  'random nonce openssl pem pkcs1 x509 pubkey sha1 sha2 md5 hmac des aes gcm xauth-generic curve25519 gmp',
  'kernel-libipsec kernel-netlink socket-default vici updown',
].join(' ');

/** Why strongSwan cannot be talked to here, or `undefined` if it can. */
export function whyNoCharon(): string | undefined {
  const missing = [CHARON, SWANCTL, LIBIPSEC].filter((path) => !existsSync(path));
  return missing.length === 0 ? undefined : `strongSwan is not installed (no ${missing.join(', ')})`;
}

/** What a charon is given: both in strongSwan's own language. */
export interface CharonConfiguration {
  /** The whole of swanctl.conf. */
  readonly swanctl: string;
  /** Lines of the `charon` section, beyond what every test needs. */
  readonly charon?: string;
}

/**
 * strongSwan's IKE daemon with its user-space ESP, in a network namespace of its own. Each has its own mount namespace with an empty
 * `/run`, since the daemon keeps its process number at a fixed path there.
 */
export class Charon {
  readonly #namespaces: Namespaces;
  readonly #namespace: string;
  readonly #folder: string;
  readonly #process: ChildProcess;

  private constructor(namespaces: Namespaces, namespace: string, folder: string) {
    this.#namespaces = namespaces;
    this.#namespace = namespace;
    this.#folder = folder;
    const output = openSync(join(folder, 'charon.out'), 'w');
    this.#process = namespaces.spawn(
      namespace,
      '/bin/sh',
      ['-c', `mount -t tmpfs tmpfs /run && exec ${CHARON} --use-syslog no`],
      { stdio: ['ignore', output, output], env: { ...process.env, STRONGSWAN_CONF: join(folder, 'strongswan.conf') } },
    );
  }

  /** Starts the daemon and loads its connections; throws with its own words if it does not take them. */
  static async start(
    namespaces: Namespaces,
    namespace: string,
    folder: string,
    configuration: CharonConfiguration,
  ): Promise<Charon> {
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, 'strongswan.conf'), strongswanConf(folder, configuration.charon ?? ''));
    writeFileSync(join(folder, 'swanctl.conf'), configuration.swanctl);
    const charon = new Charon(namespaces, namespace, folder);
    for (let attempt = 0; attempt < 100 && !existsSync(charon.#socketPath); attempt++) await sleep(100);
    const loaded = await charon.#swanctl('--load-all', '--file', join(folder, 'swanctl.conf'));
    if (loaded.status !== 0) throw new Error(`swanctl --load-all: ${loaded.stdout}${loaded.stderr}\n${charon.log()}`);
    return charon;
  }

  get #socketPath(): string {
    return join(this.#folder, 'vici.socket');
  }

  get #logPath(): string {
    return join(this.#folder, 'charon.log');
  }

  /** Negotiates a child SA, and the IKE SA that it needs, and waits for the outcome. */
  initiate(child: string): Promise<Finished> {
    return this.#swanctl('--initiate', '--child', child, '--timeout', '20');
  }

  terminate(ike: string): Promise<Finished> {
    return this.#swanctl('--terminate', '--ike', ike, '--timeout', '10');
  }

  rekeyChild(child: string): Promise<Finished> {
    return this.#swanctl('--rekey', '--child', child);
  }

  /** What `swanctl --list-sas` prints; empty if there is none. */
  async sas(): Promise<string> {
    return (await this.#swanctl('--list-sas')).stdout;
  }

  log(): string {
    return existsSync(this.#logPath) ? readFileSync(this.#logPath, 'utf8') : '';
  }

  /** Ends the daemon without a word to its peer, as a power failure would. */
  async kill(): Promise<void> {
    await this.#end('SIGKILL');
  }

  async stop(): Promise<void> {
    await this.#end('SIGTERM');
    this.#process.kill('SIGKILL');
  }

  /** Returns once the process has gone, and its sockets with it: its successor needs the same ports. */
  async #end(signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return;
    const ended = new Promise((resolve) => this.#process.once('exit', resolve));
    this.#process.kill(signal);
    await Promise.race([ended, sleep(5000)]);
  }

  #swanctl(...args: readonly string[]): Promise<Finished> {
    const script = `STRONGSWAN_CONF="$0" exec ${SWANCTL} "$@"`;
    const conf = join(this.#folder, 'strongswan.conf');
    return this.#namespaces.runAsync(
      this.#namespace,
      '/bin/sh',
      ['-c', script, conf, ...args, '--uri', `unix://${this.#socketPath}`],
      40_000,
    );
  }
}

function strongswanConf(folder: string, extra: string): string {
  return `charon {
  load_modular = no
  load = ${PLUGINS}
  install_virtual_ip = yes
  retransmit_timeout = 1.0
  # Its own words for what Aggressive Mode with a pre-shared key is worth; the tests need both roles.
  i_dont_care_about_security_and_use_aggressive_mode_psk = yes
  ${extra}
  filelog {
    file {
      path = ${folder}/charon.log
      flush_line = yes
      default = 1
      ike = 2
      cfg = 1
      enc = 1
      knl = 1
      esp = 1
    }
  }
  plugins {
    vici {
      socket = unix://${folder}/vici.socket
    }
    kernel-libipsec {
      allow_peer_ts = yes
    }
  }
}
swanctl {
  load = random nonce pem pkcs1 x509 pubkey openssl
}
`;
}
