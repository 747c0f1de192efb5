import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Instant, instant, seconds } from '../../lib/time.ts';
import type { DeadPeerDetectionConfig } from '../../model/gateway-config.ts';
import { DeadPeerDetection } from './dead-peer-detection.ts';

const FIRST_SEQUENCE = 100;

test('RFC 3706 §5.4: in optimized mode traffic both ways is proof enough, and nobody is asked', () => {
  const history = simulate('optimized', 50, (detection, now) => {
    detection.handleInboundTraffic(now);
    detection.handleOutboundTraffic(now);
  });
  assert.deepEqual(history, []);
});

test('in optimized mode a peer is asked once we send and nothing comes back, at each interval, and then is dead', () => {
  const history = simulate('optimized', 60, (detection, now) => detection.handleOutboundTraffic(now));
  assert.deepEqual(history, ['10 probe', '20 probe', '30 probe', '35 dead']);
});

test('in optimized mode an idle tunnel is left alone', () => {
  assert.deepEqual(simulate('optimized', 500), []);
});

test('in probe-idle-tunnel mode silence alone is a reason to ask', () => {
  assert.deepEqual(simulate('probe-idle-tunnel', 60), ['10 probe', '20 probe', '30 probe', '35 dead']);
});

test('in always-send mode traffic is no reason not to ask', () => {
  const history = simulate('always-send', 45, (detection, now) => detection.handleInboundTraffic(now));
  assert.deepEqual(history, ['10 probe', '20 probe', '30 probe', '40 probe']);
});

test('an SA that only the peer has lost is found out although IPsec packets keep coming, and the peer is not dead', () => {
  for (const mode of ['optimized', 'probe-idle-tunnel'] as const) {
    const history = simulate(mode, 100, (detection, now) => detection.handleInboundTraffic(now));
    assert.equal(history.length, 4, mode);
    assert.match(history[0] ?? '', /^6\d probe$/);
    assert.match(history[3] ?? '', / lost$/);
  }
});

test('an acknowledgement ends the verification until the next time', () => {
  const detection = start('optimized');
  let sequence: number | undefined;
  let probeCount = 0;
  for (let second = 1; second <= 300; second++) {
    const now = instant(second * 1000);
    detection.handleInboundTraffic(now);
    if (sequence !== undefined) {
      detection.handleIkeMessage(now);
      detection.handleAcknowledgement(now, sequence);
      sequence = undefined;
    }
    const action = detection.handleTimeout(now);
    assert.ok(action.kind === 'none' || action.kind === 'probe', action.kind);
    if (action.kind !== 'probe') continue;
    sequence = action.sequence;
    probeCount++;
  }
  assert.ok(probeCount >= 3 && probeCount <= 5, `${probeCount} probes in five minutes`);
});

/** One second at a time; `happens` is what comes and goes in each. */
function simulate(
  mode: DeadPeerDetectionConfig['mode'],
  duration: number,
  happens: (detection: DeadPeerDetection, now: Instant) => void = () => undefined,
): readonly string[] {
  const detection = start(mode);
  const history: string[] = [];
  for (let second = 1; second <= duration; second++) {
    const now = instant(second * 1000);
    const action = detection.handleTimeout(now);
    if (action.kind !== 'none') history.push(`${second} ${action.kind}`);
    happens(detection, now);
  }
  return history;
}

function start(mode: DeadPeerDetectionConfig['mode']): DeadPeerDetection {
  return new DeadPeerDetection(instant(0), { mode, interval: seconds(10), threshold: 3 }, FIRST_SEQUENCE);
}
