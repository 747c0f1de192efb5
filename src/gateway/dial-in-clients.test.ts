// Several dial-in clients of one configured gateway: IKE, the policies that the gateway makes of it, and the data plane, together.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { computeDiffieHellman } from '../crypto/diffie-hellman.ts';
import { nodePacketCrypto } from '../crypto/node-packet-provider.ts';
import { nodeCrypto } from '../crypto/node-provider.ts';
import { officeConfig, selector } from '../ike/v1/two-endpoints.fixture.ts';
import { DataPlane } from '../ipsec/data-plane.ts';
import { RecordingOutbox } from '../ipsec/two-planes.fixture.ts';
import { utf8 } from '../lib/bytes.ts';
import { SeededRandom } from '../lib/random.ts';
import { Secret } from '../lib/secret.ts';
import { after, type Instant, instant, milliseconds, seconds } from '../lib/time.ts';
import { address, addressOctets, type IpAddress, type UdpPath } from '../model/address.ts';
import type { DataPlaneCommand } from '../model/data-plane.ts';
import type { GatewayConfig, IkeGatewayConfig, XauthConfig } from '../model/gateway-config.ts';
import type { IkeEvent } from '../model/ike-event.ts';
import { Gateway } from './gateway.ts';
import type { GatewayOutbox } from './outbox.ts';

const SERVER = address('198.51.100.1');
const LAN_HOST = address('10.2.0.10');
const ORIGIN = { path: 'access profile dial-in', line: 9 };
const USERS = ['alice', 'carol'] as const;

test('two clients dial in under one gateway: each has its policy, and packets for its address leave under its SA', () => {
  const lab = new DialIn();
  const [alice, carol] = [lab.dial('alice'), lab.dial('carol')];
  const { ikeSas, policies } = lab.standing();
  assert.deepEqual(ikeSas, ['alice 10.9.0.10', 'carol 10.9.0.11'], 'neither has put the other out');
  assert.deepEqual(policies, ['office', 'office@10.9.0.10', 'office@10.9.0.11']);
  for (const [client, inner] of [
    [alice, '10.9.0.10'],
    [carol, '10.9.0.11'],
    [alice, '10.9.0.10'],
  ] as const) {
    assert.deepEqual(lab.sendTo(address(inner)), [client.address], inner);
    assert.equal(lab.serverPlane.delivered.length, 0);
    client.send(address(inner), LAN_HOST);
    lab.run();
    assert.deepEqual(
      [...(lab.serverPlane.delivered.pop()?.packet.subarray(12, 16) ?? [])],
      [...addressOctets(address(inner))],
    );
  }
});

test('a client that hangs up takes its policy with it, and nothing of the others', () => {
  const lab = new DialIn();
  const [alice, carol] = [lab.dial('alice'), lab.dial('carol')];
  alice.hangUp();
  lab.run();
  assert.deepEqual(lab.standing(), { ikeSas: ['carol 10.9.0.11'], policies: ['office', 'office@10.9.0.11'] });
  assert.deepEqual(lab.sendTo(address('10.9.0.11')), [carol.address]);
  assert.deepEqual(lab.sendTo(address('10.9.0.10')), [], 'nothing leaves for a client that is not there');
});

test('a client that falls silent is given up alone', () => {
  const deadPeerDetection = { mode: 'always-send', interval: seconds(10), threshold: 3 } as const;
  const lab = new DialIn({ deadPeerDetection });
  const [alice, carol] = [lab.dial('alice'), lab.dial('carol')];
  lab.cutOff(alice);
  lab.advance(60_000);
  assert.deepEqual(lab.standing(), { ikeSas: ['carol 10.9.0.11'], policies: ['office', 'office@10.9.0.11'] });
  assert.deepEqual(lab.sendTo(address('10.9.0.11')), [carol.address]);
});

test('a client that dials in again from elsewhere replaces itself, and nobody else', () => {
  const lab = new DialIn();
  lab.dial('alice');
  const carol = lab.dial('carol');
  const again = lab.dial('alice', address('192.0.2.77'));
  lab.advance(90_000);
  assert.deepEqual(lab.standing().ikeSas, ['carol 10.9.0.11', 'alice 10.9.0.10']);
  assert.deepEqual(lab.sendTo(address('10.9.0.10')), [again.address]);
  assert.deepEqual(lab.sendTo(address('10.9.0.11')), [carol.address]);
});

test('one user has one device: the newer login ends the SAs of the older, which is told, and its address goes along', () => {
  const lab = new DialIn();
  const [first, carol] = [lab.dial('alice'), lab.dial('carol')];
  const second = lab.dial('alice', address('192.0.2.77'));
  assert.deepEqual(lab.standing().ikeSas, ['carol 10.9.0.11', 'alice 10.9.0.10']);
  assert.deepEqual(lab.sendTo(address('10.9.0.10')), [second.address]);
  assert.deepEqual(lab.sendTo(address('10.9.0.11')), [carol.address]);
  const endings = first.events.flatMap((event) => ('reason' in event ? [`${event.kind} ${event.reason}`] : []));
  assert.deepEqual(endings, ['ipsec-sa-deleted peer-deleted', 'ike-sa-deleted peer-deleted']);
  const notices = lab.server.events.flatMap((event) => (event.kind === 'notice' ? [event.text] : []));
  assert.ok(notices.some((text) => /^user alice has logged in from 192\.0\.2\.77 port 500; .* are ended$/.test(text)));
});

test('a login from the same place is a rekey: nothing that stands is ended for it', () => {
  const lab = new DialIn();
  const alice = lab.dial('alice');
  // Phase 1 lasts 8 hours less a margin; pairs are renewed meanwhile, but no policy is taken away.
  const renewed = () =>
    lab.server.events.filter((event) => event.kind === 'ike-sa-established' && event.isRekey).length;
  while (renewed() === 0) lab.advance(600_000);
  const ended = lab.server.events.filter((event) => 'reason' in event && event.reason === 'replaced');
  assert.deepEqual(ended, []);
  assert.deepEqual(lab.sendTo(address('10.9.0.10')), [alice.address]);
});

test('when the pool is used up, a client who has left gives its address to one who comes', () => {
  const lab = new DialIn({}, address('10.9.0.10'));
  const alice = lab.dial('alice');
  alice.hangUp();
  lab.run();
  const carol = lab.dial('carol');
  assert.deepEqual(lab.standing().ikeSas, ['carol 10.9.0.10']);
  assert.deepEqual(lab.sendTo(address('10.9.0.10')), [carol.address]);
});

test('each pair is renewed for its own client', () => {
  const lab = new DialIn();
  const clients = [lab.dial('alice'), lab.dial('carol')];
  const before = lab.server.gateway.ipsecSas(lab.now).map(({ inboundSpi }) => inboundSpi);
  lab.advance(3_590_000);
  const pairs = lab.server.gateway.ipsecSas(lab.now).filter(({ isCurrent }) => isCurrent);
  assert.equal(pairs.length, 2);
  assert.deepEqual(new Set(pairs.map(({ policy }) => `${policy}`)), new Set(['office@10.9.0.10', 'office@10.9.0.11']));
  assert.ok(pairs.every(({ inboundSpi }) => !before.includes(inboundSpi)));
  for (const [index, client] of clients.entries())
    assert.deepEqual(lab.sendTo(address(`10.9.0.1${index}`)), [client.address]);
});

test('a commit that changes what every policy says changes the clients’ too, and one that changes the VPN ends them', () => {
  const lab = new DialIn();
  lab.dial('alice');
  lab.dial('carol');
  const config = lab.server.gateway.config;
  const commands = lab.server.configure({ ...config, tcpMss: 1300 });
  const puts = commands.flatMap((command) => (command.kind === 'put-policy' ? [command.policy] : []));
  assert.deepEqual(
    puts.map(({ id, tcpMss }) => [id, tcpMss]),
    [
      ['office', 1300],
      ['office@10.9.0.10', 1300],
      ['office@10.9.0.11', 1300],
    ],
  );
  lab.server.configure({ ...config, vpns: config.vpns.map((vpn) => ({ ...vpn, antiReplayWindow: 128 })) });
  lab.run();
  assert.deepEqual(lab.standing().policies, ['office']);
});

/** A gateway with its data plane, at one address. */
class Station implements GatewayOutbox {
  readonly address: IpAddress;
  readonly gateway: Gateway;
  readonly plane: DataPlane;
  readonly planeOut = new RecordingOutbox();
  readonly policies = new Set<string>();
  readonly events: IkeEvent[] = [];
  readonly #lab: DialIn;
  #commands: DataPlaneCommand[] = [];

  constructor(lab: DialIn, at: IpAddress, seed: number) {
    this.#lab = lab;
    this.address = at;
    this.gateway = new Gateway({ crypto: nodeCrypto, random: new SeededRandom(seed) });
    this.plane = new DataPlane({ crypto: nodePacketCrypto, random: new SeededRandom(seed + 1) });
  }

  /** Returns what the data plane was told. */
  configure(config: GatewayConfig): readonly DataPlaneCommand[] {
    this.#commands = [];
    this.gateway.applyConfig(this.#lab.now, config, this);
    return this.#commands;
  }

  hangUp(): void {
    this.gateway.clearIpsec(this.#lab.now, {}, this);
    this.gateway.clearIke(this.#lab.now, {}, this);
  }

  send(from: IpAddress, to: IpAddress): void {
    const packet = innerPacket(from, to);
    this.plane.handleInnerPacket(this.#lab.now, 'st0.0', packet, 0, packet.length, this.planeOut);
  }

  transmit(path: UdpPath, datagram: Uint8Array): void {
    this.#lab.inFlight.push({ path, datagram: datagram.slice() });
  }

  command(command: DataPlaneCommand): void {
    this.#commands.push(command);
    if (command.kind === 'put-policy') this.policies.add(command.policy.id);
    if (command.kind === 'delete-policy') this.policies.delete(command.id);
    this.plane.handleCommand(this.#lab.now, command, this.planeOut);
  }

  compute(job: Parameters<GatewayOutbox['compute']>[0]): void {
    this.#lab.computations.push(() =>
      this.gateway.handleComputed(this.#lab.now, job.id, computeDiffieHellman(job), this),
    );
  }

  report(event: IkeEvent): void {
    this.events.push(event);
  }
}

class DialIn {
  now: Instant = instant(1_000_000);
  readonly inFlight: { readonly path: UdpPath; readonly datagram: Uint8Array }[] = [];
  readonly computations: (() => void)[] = [];
  readonly server = new Station(this, SERVER, 1);
  readonly #stations = new Map<IpAddress, Station>([[SERVER, this.server]]);

  constructor(gateway: Partial<IkeGatewayConfig> = {}, lastAddress = address('10.9.0.20')) {
    this.server.configure(serverConfig(gateway, lastAddress));
  }

  /** Nothing reaches the station any more. */
  cutOff(station: Station): void {
    this.#stations.delete(station.address);
  }

  get serverPlane(): RecordingOutbox {
    return this.server.planeOut;
  }

  dial(user: string, at = address(`192.0.2.${10 + this.#stations.size}`)): Station {
    const client = new Station(this, at, 100 * (this.#stations.size + 1));
    this.#stations.set(at, client);
    client.configure(clientConfig(user, at));
    client.gateway.initiate(this.now, 'office', client);
    this.run();
    assert.equal(client.gateway.ipsecSas(this.now).length, 1, JSON.stringify(client.events.at(-1)));
    return client;
  }

  /** The server sends a packet of its LAN to a client's address: where it goes. */
  sendTo(inner: IpAddress): readonly IpAddress[] {
    this.server.send(LAN_HOST, inner);
    const arrived: IpAddress[] = [];
    this.run((station) => arrived.push(station.address));
    return arrived;
  }

  standing() {
    const sas = this.server.gateway.ikeSas(this.now).filter(({ state }) => state === 'up');
    return {
      ikeSas: sas.map(({ xauthUser, assignedAddress }) => `${xauthUser} ${assignedAddress}`),
      policies: [...this.server.policies],
    };
  }

  /** Delivers whatever is under way; says which client delivered a packet inside. */
  run(handleDelivered: (station: Station) => void = () => undefined): void {
    for (let work = true; work; ) {
      work = false;
      for (let job = this.computations.shift(); job; job = this.computations.shift()) job();
      for (const station of this.#stations.values()) work = this.#carryPackets(station, handleDelivered) || work;
      const flight = this.inFlight.shift();
      if (flight === undefined) continue;
      work = true;
      const { path, datagram } = flight;
      const target = this.#stations.get(path.remote.address);
      target?.gateway.handleDatagram(this.now, { local: path.remote, remote: path.local }, datagram, target);
    }
  }

  advance(duration: number): void {
    const end = after(this.now, milliseconds(duration));
    for (;;) {
      const next = Math.min(...[...this.#stations.values()].map(({ gateway }) => gateway.nextTimeout()));
      if (next > end) break;
      this.now = instant(Math.max(next, this.now));
      for (const station of this.#stations.values()) station.gateway.handleTimeout(this.now, station);
      this.run();
    }
    this.now = end;
  }

  /** Data planes' packets go over at once. */
  #carryPackets(station: Station, handleDelivered: (station: Station) => void): boolean {
    const packets = station.planeOut.ip.splice(0);
    for (const packet of packets) {
      const target = [...this.#stations.values()].find(({ address: at }) => isDestination(packet, at));
      target?.plane.handleIpPacket(this.now, packet, target.planeOut);
      if (target === undefined || target === this.server) continue;
      for (const _ of target.planeOut.delivered.splice(0)) handleDelivered(target);
    }
    return packets.length > 0;
  }
}

function isDestination(packet: Uint8Array, at: IpAddress): boolean {
  return addressOctets(at).every((octet, index) => packet[16 + index] === octet);
}

function serverConfig(gateway: Partial<IkeGatewayConfig>, last: IpAddress): GatewayConfig {
  const xauth: XauthConfig = {
    role: 'server',
    origin: ORIGIN,
    users: USERS.map((name) => ({ name, password: new Secret(utf8(`${name}’s own`)) })),
    pool: {
      network: { address: address('10.9.0.0'), length: 24 },
      first: address('10.9.0.10'),
      last,
      dnsServers: [],
      winsServers: [],
      splitInclude: [],
    },
  };
  return officeConfig('responder', {
    policy: { mode: 'aggressive' },
    gateway: {
      xauth,
      isDynamic: true,
      remoteAddresses: [],
      localAddress: SERVER,
      remoteIdentity: { kind: 'fqdn', name: 'sales.example' },
      ...gateway,
    },
    vpn: { selectors: [{ origin: ORIGIN, local: selector('10.2.0.0/16'), remote: selector('10.9.0.0/24') }] },
  });
}

function clientConfig(username: string, at: IpAddress): GatewayConfig {
  return officeConfig('initiator', {
    policy: { mode: 'aggressive' },
    gateway: {
      xauth: { role: 'client', origin: ORIGIN, username, password: new Secret(utf8(`${username}’s own`)) },
      localAddress: at,
      localIdentity: { kind: 'fqdn', name: 'sales.example' },
    },
    vpn: { selectors: [{ origin: ORIGIN, local: selector('0.0.0.0/0'), remote: selector('10.2.0.0/16') }] },
  });
}

/** A UDP datagram without contents, from port 9 to port 9. */
function innerPacket(from: IpAddress, to: IpAddress): Uint8Array {
  const packet = new Uint8Array(28);
  packet.set([0x45, 0, 0, 28, 0, 1, 0, 0, 64, 17, 0, 0, ...addressOctets(from), ...addressOctets(to)]);
  packet.set([0, 9, 0, 9, 0, 8], 20);
  let sum = 0;
  for (let at = 0; at < 20; at += 2) sum += ((packet[at] ?? 0) << 8) | (packet[at + 1] ?? 0);
  sum = (sum & 0xffff) + (sum >> 16);
  packet.set([~(sum >> 8) & 0xff, ~sum & 0xff], 10);
  return packet;
}
