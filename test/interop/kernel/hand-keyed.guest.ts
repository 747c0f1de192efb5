// Runs inside the kernel guest: every way in which the Linux kernel and we can talk IPsec, keyed by hand, both ways and of many sizes.
// We ping the kernel, and a program on the kernel's side sends to a UDP echo service of ours.

import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { IPPROTO_IP, IPPROTO_IPV6 } from '../../../src/host/libc.ts';
import { seconds } from '../../../src/lib/time.ts';
import { addressOctets, type IpAddress } from '../../../src/model/address.ts';
import {
  DUMMIES,
  EXCHANGES,
  HEADERS,
  IS_ON_ENGINE,
  PADDED_LENGTH,
  PADDED_TO_EIGHT,
  REPLAYS,
  SOURCE_ROUTE,
  WRONG_KEYS,
} from './cases.ts';
import { EngineGateway } from './engine-gateway.ts';
import type { GuestGateway } from './guest-gateway.ts';
import { type Echo, type ExtraHeaders, echoRequest, NO_EXTRA_HEADERS, udpPacket } from './inner-packets.ts';
import {
  configureKernel,
  type Datagram,
  KernelSocket,
  kernelErrors,
  kernelSaCounts,
  openEncapsulationSockets,
} from './kernel-side.ts';
import { KERNEL, type KeyedCase } from './keyed-case.ts';
import { TunGateway } from './tun-gateway.ts';

/** What fits a packet, and what takes fragments; before them comes every length of padding. */
const SIZES = [255, 1000, 1400, 3000];
const FEW_SIZES = [16, 1400];
const ECHO_PORT = 7;
const KERNEL_PORT = 7007;
/** How many milliseconds nothing must happen to have not happened. */
const SILENCE = 50;
const PORTS = { source: ECHO_PORT, destination: KERNEL_PORT };

const we = IS_ON_ENGINE ? 'the packet engine' : 'we';
const goodCases = [...EXCHANGES, ...HEADERS.map(({ keyed }) => keyed), ...REPLAYS, ...DUMMIES];
const allCases = [...goodCases, ...WRONG_KEYS, PADDED_TO_EIGHT, SOURCE_ROUTE];
const gateway: GuestGateway = IS_ON_ENGINE ? new EngineGateway(allCases) : new TunGateway(allCases);
const refused = configureKernel(allCases);
openEncapsulationSockets();
const sockets = new Map<IpAddress, KernelSocket>();
for (const address of [KERNEL.outer[4], KERNEL.outer[6], KERNEL.inner[4], KERNEL.inner[6], KERNEL.alias])
  sockets.set(address, new KernelSocket({ address, port: KERNEL_PORT }));
after(async () => {
  for (const socket of sockets.values()) socket.close();
  await gateway.stop();
});

for (const keyed of EXCHANGES)
  test(`the Linux kernel and ${we} understand each other: ${keyed.title}`, async () => {
    await withoutError(keyed, () => exchange(keyed, [...paddedSizes(keyed), ...SIZES]));
    if (keyed.tfcPadding === undefined) return;
    // Of large packets the kernel sends fragments that are shorter.
    const lengths = [...gateway.sent, ...gateway.received.slice(0, keyed.alignment)].map(({ length }) => length);
    assert.ok(lengths.length > keyed.alignment && Math.min(...lengths) > PADDED_LENGTH, `${lengths}`);
  });

for (const { keyed, extra, option } of HEADERS)
  test(`the Linux kernel and ${we} understand each other: ${keyed.title}`, async () => {
    const level = keyed.outer === 4 ? IPPROTO_IP : IPPROTO_IPV6;
    const socket = socketOf(keyed.kernelInner);
    await withoutError(keyed, async () => {
      for (const { number, octets } of option) socket.setHeaderOption(level, number, octets);
      await exchange(keyed, FEW_SIZES, extra);
      for (const { number } of option) socket.setHeaderOption(level, number, new Uint8Array(0));
    });
  });

test(`the Linux kernel takes what ${IS_ON_ENGINE ? 'the engine sends' : 'we send'}: ${SOURCE_ROUTE.title}`, async () => {
  // RFC 4302 Appendix A: the ICV is about the address at the end of the route, which the kernel travels by itself.
  const route = { octets: Uint8Array.of(131, 7, 4, ...addressOctets(KERNEL.alias), 1) };
  const data = pattern(100);
  const packet = udpPacket(SOURCE_ROUTE.ourInner, KERNEL.outer[4], PORTS, data, route);
  // No UDP checksum, since that would be about the end of the route too.
  packet.fill(0, 34, 36);
  await withoutError(SOURCE_ROUTE, async () => {
    gateway.sendInner(SOURCE_ROUTE, packet);
    assert.deepEqual((await nextDatagram(KERNEL.alias, 'what went by source route')).data, data);
  });
});

test(`${IS_ON_ENGINE ? 'the packet engine takes' : 'we take'} what the Linux kernel sends: ${PADDED_TO_EIGHT.title}`, async () => {
  const { ahInputPackets, discarded } = await gateway.counters();
  const keyed = PADDED_TO_EIGHT;
  socketOf(keyed.kernelInner).send({ address: keyed.ourInner, port: ECHO_PORT }, pattern(100));
  await gateway.carryUntil(
    'a packet padded so',
    async () => (await gateway.counters()).ahInputPackets > ahInputPackets,
  );
  assert.equal((await gateway.counters()).discarded, discarded);
  // Our answer, which such a kernel does not take, has come and gone.
  await gateway.carryFor(SILENCE);
});

for (const keyed of REPLAYS)
  test(`the Linux kernel and ${we} each take a packet once: ${keyed.title}`, async () => {
    const before = kernelErrors();
    const { replayErrors } = await gateway.counters();
    await exchange(keyed, [100]);
    const [sent, received] = [gateway.sent[0], gateway.received[0]];
    assert.ok(sent && received);
    gateway.transmit(sent);
    await gateway.carryFor(SILENCE);
    assert.deepEqual(errorsSince(before), { XfrmInStateSeqError: 1 });
    gateway.receive(received);
    await gateway.carryFor(SILENCE);
    assert.equal((await gateway.counters()).replayErrors, replayErrors + 1);
    await expectSilence(keyed);
  });

for (const keyed of DUMMIES)
  test(`RFC 4303 §2.6: the Linux kernel drops the dummies that ${IS_ON_ENGINE ? 'the engine sends' : 'we send'}, and what comes afterwards passes: ${keyed.title}`, async () => {
    await withoutError(keyed, () => exchange(keyed, [100]));
    const [put] = keyed.commands();
    assert.ok(put?.kind === 'put-policy');
    const before = kernelErrors();
    const { dummiesSent } = await gateway.counters();
    gateway.command({ ...put, policy: { ...put.policy, dummyInterval: seconds(1) } });
    gateway.forget();
    await gateway.carryUntil('dummies', async () => (await gateway.counters()).dummiesSent > dummiesSent + 1);
    gateway.command(put);
    await expectSilence(keyed);
    const count = (await gateway.counters()).dummiesSent - dummiesSent;
    assert.equal(gateway.sent.length, count);
    assert.deepEqual(gateway.received, [], 'no answer');
    // That is where the kernel counts what it has opened and found to be a dummy; it is none of its SA's errors.
    assert.deepEqual(errorsSince(before), { XfrmInStateProtoError: count });
    await withoutError(keyed, () => exchange(keyed, [100]));
  });

for (const keyed of WRONG_KEYS)
  test(`neither the Linux kernel nor ${IS_ON_ENGINE ? 'the packet engine takes' : 'we take'} what the other protects with another key: ${keyed.title}`, async () => {
    assert.equal(refused.get(keyed), undefined);
    const before = kernelErrors();
    const drops = (await gateway.counters()).drops['bad-icv'];
    const { ourInner, kernelInner } = keyed;
    gateway.sendInner(keyed, udpPacket(ourInner, kernelInner, PORTS, pattern(100)));
    gateway.sendInner(keyed, echoRequest(ourInner, kernelInner, echoOf(keyed, 100)));
    await expectSilence(keyed);
    assert.deepEqual(errorsSince(before), { XfrmInStateProtoError: 2 });
    socketOf(kernelInner).send({ address: ourInner, port: ECHO_PORT }, pattern(100));
    await gateway.carryUntil('a forged packet', async () => (await gateway.counters()).drops['bad-icv'] > drops);
    await expectSilence(keyed);
  });

test(`the Linux kernel has counted packets for each SA, and for none an error${IS_ON_ENGINE ? ' (engine)' : ''}`, () => {
  const counts = kernelSaCounts();
  const wrong = goodCases.flatMap((keyed) =>
    [...keyed.sas('inbound'), ...keyed.sas('outbound')]
      .map(({ spi }) => counts.get(spi))
      // A replay that we made is the one error that is not one.
      .filter((count) => !count || count.packets === 0 || (count.errors > 0 && !REPLAYS.includes(keyed)))
      .map((count) => `${keyed.title}: ${JSON.stringify(count)}`),
  );
  assert.deepEqual(wrong, []);
});

/** Nothing is refused, dropped or counted as an error on either side, and nothing comes that should not, while `action` runs. */
async function withoutError(keyed: KeyedCase, action: () => Promise<void>): Promise<void> {
  assert.equal(refused.get(keyed), undefined);
  assert.deepEqual(gateway.refusals.splice(0), []);
  const before = kernelErrors();
  const drops = await gateway.counters();
  try {
    await action();
  } finally {
    // Said first: an exchange that stopped is explained by what was counted.
    assert.deepEqual(errorsSince(before), {}, 'the kernel');
    const after = await gateway.counters();
    assert.deepEqual({ ...after.drops }, { ...drops.drops }, 'our drops');
  }
  assert.deepEqual(gateway.unexpected.splice(0), []);
}

/** Pings the kernel, and lets the kernel's program send to us, with each number of octets. */
async function exchange(
  keyed: KeyedCase,
  sizes: readonly number[],
  extra: ExtraHeaders = NO_EXTRA_HEADERS,
): Promise<void> {
  gateway.forget();
  const { ourInner, kernelInner } = keyed;
  for (const size of sizes) {
    const echo = echoOf(keyed, size);
    gateway.sendInner(keyed, echoRequest(ourInner, kernelInner, echo, extra));
    await gateway.carryUntil(`an echo of ${size} octets`, () => gateway.echoReplies.length > 0);
    assert.deepEqual(gateway.echoReplies.splice(0), [echo]);

    socketOf(kernelInner).send({ address: ourInner, port: ECHO_PORT }, echo.data);
    const { data, from } = await nextDatagram(kernelInner, `${size} octets over UDP`);
    assert.deepEqual(from, { address: ourInner, port: ECHO_PORT });
    assert.deepEqual(data, echo.data);
  }
}

async function nextDatagram(local: IpAddress, what: string): Promise<Datagram> {
  let datagram: Datagram | undefined;
  await gateway.carryUntil(what, () => {
    datagram = socketOf(local).receive();
    return datagram !== undefined;
  });
  assert.ok(datagram);
  return datagram;
}

async function expectSilence(keyed: KeyedCase): Promise<void> {
  await gateway.carryFor(SILENCE);
  assert.deepEqual(gateway.echoReplies.splice(0), []);
  assert.deepEqual(gateway.unexpected.splice(0), []);
  assert.equal(socketOf(keyed.kernelInner).receive(), undefined);
}

function errorsSince(before: Readonly<Record<string, number>>): Readonly<Record<string, number>> {
  const grown = Object.entries(kernelErrors()).map(([name, value]) => [name, value - (before[name] ?? 0)] as const);
  return Object.fromEntries(grown.filter(([, value]) => value !== 0));
}

function socketOf(local: IpAddress): KernelSocket {
  const socket = sockets.get(local);
  assert.ok(socket);
  return socket;
}

function echoOf(keyed: KeyedCase, size: number): Echo {
  return { identifier: keyed.number, sequence: size, data: pattern(size) };
}

/** One size for each length that the padding may have. */
function paddedSizes(keyed: KeyedCase): readonly number[] {
  return Array.from({ length: keyed.alignment }, (_, index) => index + 1);
}

function pattern(size: number): Uint8Array {
  return Uint8Array.from({ length: size }, (_, index) => index);
}
