// The programs that `npm run bench` compares: each joins namespaces `a` and `b` by one tunnel, in which `a` and `b` have addresses.

import type { ChildProcess } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Namespaces } from '../lab/namespaces.ts';
import type { KeyedGatewaySettings } from '../src/host/packet-engine/keyed-gateway.fixture.ts';
import { KeyedGateway, OUTER } from '../src/host/packet-engine/keyed-pair.fixture.ts';
import type { EncryptionAlgorithm, IntegrityAlgorithm } from '../src/model/algorithms.ts';
import { Charon, whyNoCharon } from '../test/interop/charon.ts';
import { swanctlConfiguration } from '../test/interop/swanctl-configuration.ts';

/** A tunnel that runs. */
export interface RunningTunnel {
  /** Where the other end is reached, seen from `a`. */
  readonly peer: string;
  /** The processes that carry it, where they are known. */
  readonly processIds: readonly number[];
  /** How late the control threads were since the last call, in milliseconds; not for those that have none. */
  controlDelays?(): Promise<readonly { readonly mean: number; readonly highest: number }[]>;
  stop(): Promise<void>;
}

/** One program with one algorithm. */
export interface Contender {
  readonly name: string;
  /** As it stands in a table. */
  readonly title: string;
  /** Why it cannot run here, or `undefined` if it can. */
  whyNot(): string | undefined;
  /** `folder` is empty, and the contender's own until it has stopped. */
  start(namespaces: Namespaces, folder: string): Promise<RunningTunnel>;
}

const INNER = { a: '10.9.0.1', b: '10.9.0.2' };
const LAN = { a: '10.91.0.1', b: '10.92.0.1' };

/** No tunnel at all: the ceiling. */
export const RAW_VETH: Contender = {
  name: 'raw veth',
  title: 'the cable alone (veth)',
  whyNot: () => undefined,
  start: () => Promise.resolve({ peer: OUTER.b, processIds: [], stop: () => Promise.resolve() }),
};

/** Sallyport's engine with SAs keyed by hand. */
export function sallyport(encryption: EncryptionAlgorithm, integrity: IntegrityAlgorithm, tunnelCount = 1): Contender {
  const algorithms = `${encryption}${integrity === 'none' ? '' : ` ${integrity}`}`;
  return {
    name: `Sallyport ${algorithms}`,
    title: `**Sallyport, ${algorithms}**`,
    whyNot: () => undefined,
    start: async (namespaces) => {
      const gateways = await Promise.all(
        [0, 1].map((side) => startKeyed(namespaces, side, encryption, integrity, tunnelCount)),
      );
      return {
        peer: INNER.b,
        processIds: gateways.flatMap((gateway) => gateway.processId ?? []),
        controlDelays: () => Promise.all(gateways.map(async (gateway) => (await gateway.counters()).controlDelay)),
        stop: async () => {
          for (const gateway of gateways) await gateway.stop();
        },
      };
    },
  };
}

/** Address of the i-th tunnel's far end, seen from `a`. */
export function tunnelPeer(index: number): string {
  return index === 0 ? INNER.b : `10.${100 + (index >> 8)}.${index & 255}.2`;
}

function startKeyed(
  namespaces: Namespaces,
  side: number,
  encryption: EncryptionAlgorithm,
  integrity: IntegrityAlgorithm,
  tunnelCount: number,
): Promise<KeyedGateway> {
  const isA = side === 0;
  const own = isA ? '1' : '2';
  const settings: KeyedGatewaySettings = {
    side: isA ? 0 : 1,
    local: isA ? OUTER.a : OUTER.b,
    remote: isA ? OUTER.b : OUTER.a,
    encapsulation: 'udp',
    encryption,
    integrity,
    extendedSequenceNumbers: false,
    offload: 'tcp-and-udp',
    without: [],
    tunnels: Array.from({ length: tunnelCount }, (_, index) => ({
      name: `st0.${index}`,
      addresses: [`${tunnelPeer(index).replace(/\.2$/, `.${own}`)}/30`],
      routes: [],
    })),
  };
  return KeyedGateway.start(namespaces, isA ? 'a' : 'b', settings);
}

/** strongSwan's charon with its user-space ESP. */
export function strongSwan(espProposal: string): Contender {
  return {
    name: `strongSwan kernel-libipsec ${espProposal}`,
    title: `strongSwan kernel-libipsec, ${espProposal.replace(/-modp\d+$/, '')}`,
    whyNot: whyNoCharon,
    start: async (namespaces, folder) => {
      for (const side of ['a', 'b'] as const) {
        namespaces.ip(side, 'address', 'add', `${LAN[side]}/32`, 'dev', 'lo');
        // Debian's charon installs its routes with a source address; the host's own default has to lead somewhere.
        namespaces.ip(side, 'route', 'add', 'default', 'dev', 'wire');
      }
      const daemons: Charon[] = [];
      for (const [side, far] of [
        ['a', 'b'],
        ['b', 'a'],
      ] as const) {
        const swanctl = swanctlConfiguration({
          proposal: 'aes256-sha256-modp2048',
          espProposal,
          secret: 'benchmark',
          localAddress: OUTER[side],
          remoteAddress: OUTER[far],
          localLan: `${LAN[side]}/32`,
          remoteLan: `${LAN[far]}/32`,
          // What the benchmark's own gateways have, so that reordering costs both the same.
          child: 'replay_window = 1024',
        });
        daemons.push(await Charon.start(namespaces, side, join(folder, side), { swanctl }));
      }
      const done = await daemons[0]?.initiate('net');
      if (done?.status !== 0) throw new Error(`strongSwan did not come up: ${done?.stdout}${done?.stderr}`);
      return {
        peer: LAN.b,
        processIds: [],
        stop: async () => {
          for (const daemon of daemons) await daemon.stop();
          for (const side of ['a', 'b'] as const) {
            namespaces.ip(side, 'route', 'delete', 'default', 'dev', 'wire');
            namespaces.ip(side, 'address', 'delete', `${LAN[side]}/32`, 'dev', 'lo');
          }
        },
      };
    },
  };
}

// Keys for a benchmark's two ends, made once with `wg genkey` and `wg pubkey`; nothing else uses them.
const WIREGUARD = '/usr/bin/wireguard-go';

/** wireguard-go, the user-space WireGuard. */
export const WIREGUARD_GO: Contender = {
  name: 'wireguard-go',
  title: 'wireguard-go',
  whyNot: () => [WIREGUARD, '/usr/bin/wg'].find((path) => !existsSync(path))?.replace(/^/, 'no '),
  start: async (namespaces, folder) => {
    const ends = (['a', 'b'] as const).map((side) => {
      const privateKey = namespaces.run(side, 'wg', ['genkey']).stdout.trim();
      const file = join(folder, side);
      writeFileSync(file, `${privateKey}\n`, { mode: 0o600 });
      const publicKey = namespaces.run(side, '/bin/sh', ['-c', `wg pubkey < ${file}`]).stdout.trim();
      return { side, file, publicKey, device: `wgb${side}${process.pid}`.slice(0, 15) };
    });
    const children: ChildProcess[] = [];
    for (const { side, device } of ends)
      children.push(
        namespaces.spawn(side, WIREGUARD, ['--foreground', device], {
          stdio: 'ignore',
          env: { ...process.env, LOG_LEVEL: 'error' },
        }),
      );
    await sleep(1000);
    for (const [index, end] of ends.entries()) {
      const peer = ends[1 - index];
      if (!peer) continue;
      const settings = ['listen-port', '51820', 'private-key', end.file, 'peer', peer.publicKey];
      const more = ['allowed-ips', '0.0.0.0/0', 'endpoint', `${OUTER[peer.side]}:51820`];
      const done = namespaces.run(end.side, 'wg', ['set', end.device, ...settings, ...more]);
      if (done.status !== 0) throw new Error(`wg set: ${done.stderr}`);
      namespaces.ip(end.side, 'address', 'add', `${INNER[end.side]}/30`, 'dev', end.device);
      namespaces.ip(end.side, 'link', 'set', end.device, 'mtu', '1400', 'up');
    }
    await untilAnswered(namespaces, INNER.b);
    return {
      peer: INNER.b,
      processIds: children.flatMap((child) => child.pid ?? []),
      stop: async () => {
        for (const child of children) child.kill('SIGTERM');
        await sleep(500);
      },
    };
  },
};

const OPENVPN = '/usr/sbin/openvpn';
const ATTEMPTS_MAX = 30;

/** OpenVPN over UDP with AES-256-GCM and a certificate of its own for each end. */
export const OPEN_VPN: Contender = {
  name: 'OpenVPN AES-256-GCM',
  title: 'OpenVPN, aes-256-gcm, UDP, without its kernel module',
  whyNot: () => [OPENVPN, '/usr/bin/openssl'].find((path) => !existsSync(path))?.replace(/^/, 'no '),
  start: async (namespaces, folder) => {
    const fingerprints = (['a', 'b'] as const).map((side) => {
      const files = ['-keyout', join(folder, `${side}.key`), '-out', join(folder, `${side}.crt`)];
      const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'];
      namespaces.run(side, 'openssl', ['req', '-x509', ...curve, '-subj', `/CN=${side}`, ...files]);
      const print = ['x509', '-in', join(folder, `${side}.crt`), '-noout', '-fingerprint', '-sha256'];
      return namespaces.run(side, 'openssl', print).stdout.trim().replace(/^.*=/, '');
    });
    const children = (['a', 'b'] as const).map((side, index) => {
      const far = side === 'a' ? 'b' : 'a';
      const role = side === 'a' ? ['--tls-client'] : ['--tls-server', '--dh', 'none'];
      const keys = ['--cert', join(folder, `${side}.crt`), '--key', join(folder, `${side}.key`)];
      const trust = ['--peer-fingerprint', fingerprints[1 - index] ?? ''];
      const wire = ['--proto', 'udp', '--port', '1194', '--local', OUTER[side], '--remote', OUTER[far]];
      const inner = [
        '--dev',
        `ovpn${side}`,
        '--dev-type',
        'tun',
        '--topology',
        'p2p',
        '--ifconfig',
        INNER[side],
        INNER[far],
      ];
      const cipher = ['--data-ciphers', 'AES-256-GCM', '--cipher', 'AES-256-GCM', '--tun-mtu', '1400'];
      const args = [...role, ...keys, ...trust, ...wire, ...inner, ...cipher, '--verb', '1', '--disable-dco'];
      return namespaces.spawn(side, OPENVPN, args, { stdio: 'ignore' });
    });
    await untilAnswered(namespaces, INNER.b);
    return {
      peer: INNER.b,
      processIds: children.flatMap((child) => child.pid ?? []),
      stop: async () => {
        for (const child of children) child.kill('SIGTERM');
        await sleep(500);
      },
    };
  },
};

/** Waits until the tunnel carries pings; throws an Error if it does not in time. */
async function untilAnswered(namespaces: Namespaces, peer: string): Promise<void> {
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
    const { status } = await namespaces.runAsync('a', 'ping', ['-n', '-c', '1', '-W', '1', peer]);
    if (status === 0) return;
    await sleep(200);
  }
  throw new Error('the tunnel did not come up');
}
