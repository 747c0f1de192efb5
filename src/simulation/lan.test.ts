import assert from 'node:assert/strict';
import { test } from 'node:test';
import { address } from '../model/address.ts';
import { answerTo, containsMarker, decodeProbe, encodeProbe, type Probe } from './lan.ts';

const PROBE: Probe = {
  kind: 'echo-request',
  source: address('10.1.0.10'),
  destination: address('10.2.0.10'),
  serial: 70_000,
  fill: 33,
};

test('a probe comes back as it was sent', () => {
  for (const kind of ['udp', 'echo-request', 'echo-reply'] as const) {
    assert.deepEqual(decodeProbe(encodeProbe({ ...PROBE, kind })), { ...PROBE, kind });
  }
});

test('a router on the way may count down the TTL, and no other octet may change', () => {
  const sent = encodeProbe(PROBE);
  for (let index = 0; index < sent.length; index++) {
    const changed = sent.slice();
    changed[index] = (changed[index] ?? 0) ^ 1;
    const mayChange = index === 8 || index === 10 || index === 11;
    const decoded = decodeProbe(changed);
    // A changed protocol, address or serial number makes another probe; what must not happen is that it passes for this one.
    const passes = decoded !== undefined && JSON.stringify(decoded) === JSON.stringify(PROBE);
    assert.equal(passes, mayChange, `octet ${index}`);
  }
});

test('the marker is found wherever it stands, and a packet cut before its end shows none', () => {
  const sent = encodeProbe(PROBE);
  assert.ok(containsMarker(sent));
  assert.ok(containsMarker(Uint8Array.of(0x2a, 0x2a, ...sent)));
  assert.ok(!containsMarker(sent.subarray(0, 40)));
});

test('an echo is answered to its sender, and an answer is not', () => {
  const answer = answerTo(PROBE, 5);
  assert.deepEqual(answer, {
    ...PROBE,
    kind: 'echo-reply',
    source: PROBE.destination,
    destination: PROBE.source,
    serial: 5,
  });
  assert.ok(answer);
  assert.equal(answerTo(answer, 6), undefined);
});
