// The responders of the handshake benchmark, each a process in a network namespace of its own: `sallyport run`, and strongSwan's charon.

import { type ChildProcess, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { Namespaces } from '../lab/namespaces.ts';
import {
  type BenchGroup,
  PEER_NETWORK,
  responderAddress,
  responderText,
  swanctlText,
} from './handshakes-configuration.ts';

const SALLYPORT = fileURLToPath(new URL('../bin/sallyport.js', import.meta.url));
const CHARON = '/usr/lib/ipsec/charon';
const SWANCTL = '/usr/sbin/swanctl';
const START_TIMEOUT = 60_000;
const STOP_TIMEOUT = 10_000;

/**
 * As it comes, or with everything set that is fastest: both without a line of log for each SA; charon also with what its manual has
 * for many peers, one connection that takes all of them, and Diffie-Hellman exponents as short as ours.
 */
export type Tuning = 'as it comes' | 'tuned';

/** A process that answers. It ends with its namespaces at the latest. */
export interface Responder {
  readonly name: string;
  readonly program: 'sallyport' | 'charon';
  readonly tuning: Tuning;
  readonly address: string;
  readonly processId: number;
  stop(): Promise<void>;
}

/** Where responders are started. */
export interface ResponderPlace {
  readonly namespaces: Namespaces;
  readonly folder: string;
  readonly group: BenchGroup;
  readonly peerCount: number;
}

/** Why charon cannot take part, or `undefined`. */
export function whyNoCharon(): string | undefined {
  const missing = [CHARON, SWANCTL].find((path) => !existsSync(path));
  return missing === undefined ? undefined : `strongSwan is not installed (no ${missing})`;
}

export async function startSallyport(place: ResponderPlace, number: number, tuning: Tuning): Promise<Responder> {
  const { namespaces, folder, peerCount, group } = place;
  const namespace = connect(namespaces, number);
  const local = responderAddress(number);
  const [configuration, control, log] = ['conf', 'control', 'log'].map((name) =>
    join(folder, `sallyport-${number}.${name}`),
  );
  if (!configuration || !control || !log) throw new Error('unreachable');
  writeFileSync(configuration, responderText(local, peerCount, group));
  const output = openSync(log, 'w');
  const logLevel = tuning === 'tuned' ? 'warning' : 'info';
  const options = ['-c', configuration, '--control', control, '--log-level', logLevel];
  const args = [...process.execArgv, SALLYPORT, 'run', ...options];
  const child = namespaces.spawn(namespace, process.execPath, args, { stdio: ['ignore', output, output] });
  await waitFor(child, () => existsSync(control), log);
  return responder('sallyport', tuning, local, child);
}

export async function startCharon(place: ResponderPlace, number: number, tuning: Tuning): Promise<Responder> {
  const { namespaces, peerCount, group } = place;
  const namespace = connect(namespaces, number);
  const local = responderAddress(number);
  const folder = join(place.folder, `charon-${number}`);
  mkdirSync(folder);
  const [conf, connections, log] = [join(folder, 'strongswan.conf'), join(folder, 'swanctl.conf'), join(folder, 'log')];
  const socket = `unix://${join(folder, 'vici.socket')}`;
  writeFileSync(conf, strongswanConf(folder, tuning));
  writeFileSync(connections, swanctlText(local, peerCount, group, tuning === 'tuned' ? 'any' : 'each'));
  const output = openSync(log, 'w');
  const env = { ...process.env, STRONGSWAN_CONF: conf };
  // The daemon keeps its process number at a fixed path: each gets a /run of its own.
  const script = `mount -t tmpfs tmpfs /run && exec ${CHARON} --use-syslog no`;
  const child = namespaces.spawn(namespace, '/bin/sh', ['-c', script], { stdio: ['ignore', output, output], env });
  await waitFor(child, () => existsSync(join(folder, 'vici.socket')), log);
  const loaded = spawnSync(SWANCTL, ['--load-all', '--file', connections, '--uri', socket], { encoding: 'utf8', env });
  if (loaded.status !== 0) throw new Error(`swanctl --load-all: ${loaded.stdout}${loaded.stderr}`);
  return responder('charon', tuning, local, child);
}

function responder(program: Responder['program'], tuning: Tuning, local: string, child: ChildProcess): Responder {
  const ended = once(child, 'exit');
  return {
    name: `${program} ${tuning}`,
    program,
    tuning,
    address: local,
    processId: child.pid ?? 0,
    stop: async () => {
      child.kill('SIGTERM');
      await Promise.race([ended, sleep(STOP_TIMEOUT, undefined, { ref: false })]);
    },
  };
}

/** A namespace for the responder with this number, joined to the one called `load`. */
function connect(namespaces: Namespaces, number: number): string {
  const namespace = `responder${number}`;
  const far = responderAddress(number).replace(/1$/, '2');
  namespaces.add(namespace);
  namespaces.connect(
    { namespace, interface: 'wan', address: `${responderAddress(number)}/24` },
    { namespace: 'load', interface: `to${number}`, address: `${far}/24` },
  );
  namespaces.ip(namespace, 'route', 'add', PEER_NETWORK, 'via', far);
  return namespace;
}

function strongswanConf(folder: string, tuning: Tuning): string {
  const settings =
    tuning === 'tuned'
      ? 'ikesa_table_size = 1024\n  ikesa_table_segments = 16\n  dos_protection = no\n  install_routes = no'
      : '';
  return `charon {
  load_modular = no
  load = random nonce openssl pem pkcs1 x509 pubkey sha1 sha2 md5 hmac aes gmp kernel-libipsec kernel-netlink socket-default vici
  ${settings}
  filelog {
    file {
      path = ${folder}/charon.log
      default = ${tuning === 'tuned' ? 0 : 1}
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
${tuning === 'tuned' ? 'libstrongswan {\n  dh_exponent_ansi_x9_42 = no\n}\n' : ''}swanctl {
  load = random nonce pem pkcs1 x509 pubkey openssl
}
`;
}

async function waitFor(child: ChildProcess, isReady: () => boolean, log: string): Promise<void> {
  for (const deadline = performance.now() + START_TIMEOUT; !isReady(); await sleep(50)) {
    if (child.exitCode !== null || performance.now() > deadline)
      throw new Error(`a responder did not start: ${readFileSync(log, 'utf8')}`);
  }
}
