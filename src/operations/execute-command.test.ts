import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Counters, type IpsecStatistics } from '../ipsec/counters.ts';
import { address } from '../model/address.ts';
import type { IkeSaStatus, IpsecSaStatus } from '../model/ike-event.ts';
import { policyId, spi } from '../model/ipsec-sa.ts';
import { selectorFromPrefix } from '../model/traffic-selector.ts';
import { executeCommand } from './execute-command.ts';
import type { GatewayView } from './gateway-view.ts';

const PATH = {
  local: { address: address('198.51.100.1'), port: 4500 },
  remote: { address: address('203.0.113.1'), port: 4500 },
};

const IKE_SA: IkeSaStatus = {
  id: '0011223344556677:8899aabbccddeeff',
  index: 2859309,
  gateway: 'branch',
  role: 'responder',
  state: 'up',
  mode: 'main',
  path: PATH,
  initiatorCookie: '0011223344556677',
  responderCookie: '8899aabbccddeeff',
  authenticationMethod: 'pre-shared-keys',
  encryption: 'aes-256-cbc',
  hash: 'sha1',
  dhGroup: 'group2',
  localIdentity: '198.51.100.1',
  remoteIdentity: '203.0.113.1',
  lifetimeRemainingSeconds: 2148,
  nat: { isLocalBehindNat: false, isRemoteBehindNat: true },
  traffic: { inputOctets: 171220, outputOctets: 171204, inputPackets: 2251, outputPackets: 2251 },
  ipsecSasCreated: 2,
  ipsecSasDeleted: 0,
  phase2InProgress: 0,
};

const IPSEC_SA: IpsecSaStatus = {
  vpn: 'to-branch',
  policy: policyId('to-branch'),
  gateway: 'branch',
  tunnelInterface: 'st0.0',
  inboundSpi: spi(0x09b27bae),
  outboundSpi: spi(0xb941875f),
  protocol: 'esp',
  mode: 'tunnel',
  encryption: 'aes-256-cbc',
  integrity: 'hmac-sha-256-128',
  path: PATH,
  isUdpEncapsulated: true,
  selectors: {
    local: selectorFromPrefix({ address: address('10.1.0.0'), length: 24 }),
    remote: selectorFromPrefix({ address: address('10.2.0.0'), length: 24 }),
  },
  hardLifetimeRemainingSeconds: 1932,
  softLifetimeRemainingSeconds: 1285,
  replayWindow: 64,
  isCurrent: true,
};

const STATISTICS: IpsecStatistics = {
  espEncryptedBytes: 14689428,
  espDecryptedBytes: 7909692,
  espEncryptedPackets: 94163,
  espDecryptedPackets: 94163,
  ahInputBytes: 0,
  ahOutputBytes: 0,
  ahInputPackets: 0,
  ahOutputPackets: 0,
  ahAuthenticationFailures: 0,
  replayErrors: 0,
  espAuthenticationFailures: 0,
  espDecryptionFailures: 0,
  badHeaders: 0,
  badTrailers: 0,
  invalidSpi: 0,
  tsCheckFail: 129,
  exceedsTunnelMtu: 0,
  discarded: 129,
};

test('show security ike security-associations keeps Junos’ columns, whatever the length of the index', () => {
  const view = viewOf({ ikeSas: [IKE_SA, { ...IKE_SA, index: 10827715, state: 'down', mode: 'aggressive' }] });
  assert.equal(
    output('show security ike security-associations', view),
    [
      'Index   State  Initiator cookie  Responder cookie  Mode           Remote Address   ',
      '2859309 UP     0011223344556677  8899aabbccddeeff  Main           203.0.113.1',
      '10827715 DOWN  0011223344556677  8899aabbccddeeff  Aggressive     203.0.113.1',
      '',
    ].join('\n'),
  );
});

test('the detail of a phase 1 SA names its algorithms as Junos does', () => {
  const text = output('show sec ike sa detail', viewOf({ ikeSas: [IKE_SA] }));
  for (const line of [
    'IKE peer 203.0.113.1, Index 2859309, Gateway Name: branch',
    '  Role: Responder, State: UP',
    '  Exchange type: Main, Authentication method: Pre-shared-keys',
    '  Local: 198.51.100.1:4500, Remote: 203.0.113.1:4500',
    '  Lifetime: Expires in 2148 seconds',
    '   Authentication        : hmac-sha1-96 ',
    '   Encryption            : aes256-cbc',
    '   Pseudo random function: hmac-sha1',
    '   Diffie-Hellman group  : DH-group-2',
    '   Input  bytes  :               171220',
    '   Input  fragmentated packets:       0',
    '  IPSec security associations: 2 created, 0 deleted',
    '    Flags: IKE SA is created',
  ])
    assert.ok(text.split('\n').includes(line), `${line}\n is not in\n${text}`);
});

test('show security ipsec security-associations prints a pair of lines, the SPI without leading zeros', () => {
  const sas = [IPSEC_SA, { ...IPSEC_SA, policy: policyId('other'), hardLifetimeRemainingSeconds: 27739 }];
  assert.equal(
    output('show security ipsec security-associations', viewOf({ ipsecSas: sas })),
    [
      '  Total active tunnels: 2     Total Ipsec sas: 2',
      '  ID    Algorithm       SPI      Life:sec/kb  Mon lsys Port  Gateway   ',
      '  <131073 ESP:aes-cbc-256/sha256 9b27bae 1932/ unlim - root 4500 203.0.113.1',
      '  >131073 ESP:aes-cbc-256/sha256 b941875f 1932/ unlim - root 4500 203.0.113.1',
      '  <131074 ESP:aes-cbc-256/sha256 9b27bae 27739/unlim - root 4500 203.0.113.1',
      '  >131074 ESP:aes-cbc-256/sha256 b941875f 27739/unlim - root 4500 203.0.113.1',
      '',
    ].join('\n'),
  );
});

test('the detail of a tunnel shows its identities, its history and both directions', () => {
  const text = output('show security ipsec sa detail vpn-name to-branch', viewOf({ ipsecSas: [IPSEC_SA] }));
  for (const line of [
    'ID: 131073 Virtual-system: root, VPN Name: to-branch',
    '  Local Identity: ipv4_subnet(any:0,[0..7]=10.1.0.0/24)',
    '  DF-bit: copy, Copy-Outer-DSCP Disabled, Bind-interface: st0.0',
    '    Sat Feb 14 2026 20:53:59 -0800: IPSec SA negotiation successfully completed (25 times)',
    '  Direction: inbound, SPI: 9b27bae, AUX-SPI: 0',
    '  Direction: outbound, SPI: b941875f, AUX-SPI: 0',
    '    Protocol: ESP, Authentication: hmac-sha256-128, Encryption: aes-cbc (256 bits)',
    '    Anti-replay service: counter-based enabled, Replay window size: 64',
  ])
    assert.ok(text.split('\n').includes(line), `${line}\n is not in\n${text}`);
});

test('show security ipsec statistics detail says why packets were dropped, and only what happened', () => {
  const drops = { ...new Counters().snapshot().drops, 'selector-mismatch': 100, 'outside-selectors': 29 };
  const statistics = () => ({ ...STATISTICS, drops, bypassedPackets: 3, dummyPackets: 1, dummiesSent: 2 });
  const text = output('show security ipsec statistics detail', { ...viewOf({}), statistics });
  assert.ok(text.startsWith(output('show security ipsec statistics', viewOf({}))), 'all that Junos prints, and then');
  assert.deepEqual(text.split('\n').slice(-6), [
    'Dropped, by cause:',
    '  selector-mismatch: 100',
    '  outside-selectors: 29',
    'Others:',
    '  Bypassed: 3, Dummies received: 1, Dummies sent: 2',
    '',
  ]);
});

test('show security ipsec statistics detail says what each packet engine has carried, where there are several', () => {
  const share = { espEncryptedPackets: 10, espDecryptedPackets: 20, ahInputPackets: 3, ahOutputPackets: 4 };
  const statistics = () => ({ ...STATISTICS, engines: [share, { ...share, espDecryptedPackets: 0 }] });
  const text = output('show security ipsec statistics detail', { ...viewOf({}), statistics });
  assert.deepEqual(text.split('\n').slice(-4), [
    'Packet engines:',
    '  0: Packets sent: 14, Packets received: 23',
    '  1: Packets sent: 14, Packets received: 3',
    '',
  ]);
});

test('show security ipsec statistics index asks for one tunnel, by the ID that the list of SAs gives it', () => {
  const asked: (string | undefined)[] = [];
  const statistics = (policy?: string) => {
    asked.push(policy);
    return STATISTICS;
  };
  const view = { ...viewOf({}), statistics };
  output('show security ipsec statistics index 131074', view);
  output('show security ipsec statistics', view);
  assert.deepEqual(asked, ['other', undefined]);
  assert.equal(output('show security ipsec statistics index 131075', view), 'There is no tunnel 131075\n');
});

test('show security ipsec statistics aligns its numbers', () => {
  const text = output('show security ipsec statistics', viewOf({}));
  assert.ok(
    text.startsWith('ESP Statistics:\n  Encrypted bytes:         14689428\n  Decrypted bytes:          7909692\n'),
  );
  assert.ok(text.endsWith('  Invalid SPI: 0, TS check fail: 129\n  Exceeds tunnel MTU: 0\n  Discarded: 129\n'));
});

test('without SAs the IKE table is empty and the IPsec table says zero', () => {
  assert.equal(output('show security ike security-associations', viewOf({})), '');
  assert.match(
    output('show security ipsec security-associations', viewOf({})),
    /Total active tunnels: 0 {5}Total Ipsec sas: 0/,
  );
});

test('clear says nothing, and reaches only what was named', () => {
  const cleared: unknown[] = [];
  const view = { ...viewOf({}), clearIke: (filter: unknown) => cleared.push(filter) };
  assert.equal(output('clear security ike security-associations 203.0.113.1', view), '');
  assert.equal(output('clear security ike security-associations index 7', view), '');
  assert.deepEqual(cleared, [{ remoteAddress: '203.0.113.1' }, { index: 7 }]);
});

test('a command that does not fit is answered with what would', () => {
  const problem = (text: string): string => {
    const result = executeCommand(text.split(' '), viewOf({}));
    assert.ok(!result.ok);
    return result.error;
  };
  assert.equal(problem('show security i'), 'i: ambiguous: ike | ipsec');
  assert.equal(problem('show security ike'), 'the command is not complete: security-associations');
  assert.equal(problem('show route'), 'route: unknown; expected security');
  assert.equal(problem('show security ipsec statistics now'), 'now: unknown; expected brief | detail | index');
  assert.equal(problem('show security ike sa index'), 'index needs a value');
});

function output(command: string, view: GatewayView): string {
  const result = executeCommand(command.split(' '), view);
  assert.ok(result.ok, JSON.stringify(result));
  return result.value.text;
}

function viewOf(given: { ikeSas?: readonly IkeSaStatus[]; ipsecSas?: readonly IpsecSaStatus[] }): GatewayView {
  const event = {
    time: 'Sat Feb 14 2026 20:53:59 -0800',
    text: 'IPSec SA negotiation successfully completed',
    count: 25,
  };
  return {
    ikeSas: () => given.ikeSas ?? [],
    ipsecSas: () => given.ipsecSas ?? [],
    policies: () => [policyId('to-branch'), policyId('other')],
    tunnelEvents: () => [event],
    statistics: () => STATISTICS,
    clearIke: () => 0,
    clearIpsec: () => 0,
  };
}
