// tshark, given our keys, decrypts what we send and finds each ICV good (RFC 4303 §3.3): a judge that shares no code with us.

import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { EAST6, innerPacket, type SaOptions, saPair, TwoPlanes, WEST6 } from '../../src/ipsec/two-planes.fixture.ts';
import { toHex } from '../../src/lib/bytes.ts';
import type { EncryptionAlgorithm, IntegrityAlgorithm } from '../../src/model/algorithms.ts';
import { type IpsecSa, spi } from '../../src/model/ipsec-sa.ts';

/** tshark's names for the algorithms that it can decrypt, and for those that it can check. */
const ENCRYPTIONS: readonly (readonly [EncryptionAlgorithm, string])[] = [
  ['null', 'NULL'],
  ['des-cbc', 'DES-CBC [RFC2405]'],
  ['3des-cbc', 'TripleDES-CBC [RFC2451]'],
  ['aes-128-cbc', 'AES-CBC [RFC3602]'],
  ['aes-192-cbc', 'AES-CBC [RFC3602]'],
  ['aes-256-cbc', 'AES-CBC [RFC3602]'],
  ['aes-128-ctr', 'AES-CTR [RFC3686]'],
  ['aes-192-ctr', 'AES-CTR [RFC3686]'],
  ['aes-256-ctr', 'AES-CTR [RFC3686]'],
  ['aes-128-gcm', 'AES-GCM with 16 octet ICV [RFC4106]'],
  ['aes-192-gcm', 'AES-GCM with 16 octet ICV [RFC4106]'],
  ['aes-256-gcm', 'AES-GCM with 16 octet ICV [RFC4106]'],
  ['aes-128-gcm-12', 'AES-GCM with 12 octet ICV [RFC4106]'],
  ['aes-192-gcm-12', 'AES-GCM with 12 octet ICV [RFC4106]'],
  ['aes-256-gcm-12', 'AES-GCM with 12 octet ICV [RFC4106]'],
  ['aes-128-gcm-8', 'AES-GCM with 8 octet ICV [RFC4106]'],
  ['aes-192-gcm-8', 'AES-GCM with 8 octet ICV [RFC4106]'],
  ['aes-256-gcm-8', 'AES-GCM with 8 octet ICV [RFC4106]'],
];
const INTEGRITIES: readonly (readonly [IntegrityAlgorithm, string])[] = [
  ['hmac-sha-256-128', 'HMAC-SHA-256-128 [RFC4868]'],
  ['hmac-sha-256-96', 'HMAC-SHA-256-96 [draft-ietf-ipsec-ciph-sha-256-00]'],
  ['hmac-md5-96', 'HMAC-MD5-96 [RFC2403]'],
  ['hmac-sha1-96', 'HMAC-SHA-1-96 [RFC2404]'],
  ['hmac-sha-384', 'HMAC-SHA-384-192 [RFC4868]'],
  ['hmac-sha-512', 'HMAC-SHA-512-256 [RFC4868]'],
];
const skip = hasTshark() ? false : 'tshark is not installed';

const LENGTHS = [61, 62, 63, 64, 500];
const INNER = LENGTHS.map((length) => innerPacket({ length, destinationPort: 40_001 }));
const PATHS: readonly SaOptions[] = [{}, { isUdp: true }, { localAddress: WEST6, remoteAddress: EAST6 }];

interface Suite {
  readonly encryption: EncryptionAlgorithm;
  readonly integrity: IntegrityAlgorithm;
  /** tshark's names. */
  readonly names: readonly [string, string];
}

const SUITES: readonly Suite[] = ENCRYPTIONS.flatMap(([encryption, name]) => {
  if (encryption.includes('gcm')) return [{ encryption, integrity: 'none', names: [name, 'NULL'] } as const];
  const integrities = encryption === 'aes-128-cbc' ? INTEGRITIES : INTEGRITIES.slice(0, 1);
  return integrities.map(
    ([integrity, integrityName]) => ({ encryption, integrity, names: [name, integrityName] }) as const,
  );
});

/** Starting tshark takes a second, so one run looks at the packets of all suites: by SPI, what it says of each. */
let findings: ReadonlyMap<number, readonly Finding[]> | undefined;

for (const [index, { encryption, integrity }] of SUITES.entries())
  test(`tshark decrypts ${encryption} with ${integrity} from us and finds the ICV good, raw, in UDP and in IPv6`, {
    skip,
  }, () => {
    findings ??= dissect();
    const expected = INNER.map((packet) => ({ isGood: '1', payload: toHex(packet.slice(28)) }));
    for (const [path, options] of PATHS.entries())
      assert.deepEqual(findings.get(spiOf(index, path)), expected, JSON.stringify(options));
  });

function spiOf(suite: number, path: number): number {
  return 0x1000 + suite * 16 + path;
}

function hasTshark(): boolean {
  return spawnSync('tshark', ['--version'], { stdio: 'ignore' }).status === 0;
}

/** A line of tshark's `esp_sa` table. */
function saRecord(sa: IpsecSa, encryption: string, integrity: string): string {
  const key = (octets: Uint8Array) => (octets.length === 0 ? '' : `0x${toHex(octets)}`);
  const isIpv6 = sa.localAddress.includes(':');
  const fields = [
    isIpv6 ? 'IPv6' : 'IPv4',
    sa.localAddress,
    sa.remoteAddress,
    `0x${sa.spi.toString(16)}`,
    encryption,
    key(sa.encryptionKey),
    integrity,
    key(sa.integrityKey),
  ];
  return `${fields.map((field) => `"${field}"`).join(',')}\n`;
}

interface Finding {
  readonly isGood: string;
  /** The UDP payload inside, in hexadecimal. */
  readonly payload: string;
}

function dissect(): ReadonlyMap<number, readonly Finding[]> {
  const packets: Uint8Array[] = [];
  let records = '';
  for (const [index, { encryption, integrity, names }] of SUITES.entries())
    for (const [path, options] of PATHS.entries()) {
      const { outbound, inbound } = saPair(encryption, integrity, { ...options, spi: spi(spiOf(index, path)) });
      const planes = new TwoPlanes({ outbound, inbound });
      for (const packet of INNER) planes.send(packet);
      packets.push(...planes.fromWest.ip, ...planes.fromWest.udp.map(({ payload }) => inUdp(payload)));
      records += saRecord(outbound, ...names);
    }
  const found = new Map<number, Finding[]>();
  for (const line of runTshark(packets, records)) {
    const [number = '', isGood = '', payload = ''] = line.split('\t');
    const findings = found.get(Number(number)) ?? [];
    found.set(Number(number), [...findings, { isGood, payload }]);
  }
  return found;
}

function runTshark(packets: readonly Uint8Array[], records: string): readonly string[] {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-tshark-'));
  try {
    writeFileSync(join(folder, 'esp_sa'), records);
    writeFileSync(join(folder, 'sent.pcap'), pcap(packets));
    const preferences = ['encryption_decode', 'authentication_check'].flatMap((name) => [
      '-o',
      `esp.enable_${name}:TRUE`,
    ]);
    const fields = ['esp.spi', 'esp.icv_good', 'data.data'].flatMap((name) => ['-e', name]);
    const output = execFileSync(
      'tshark',
      ['-r', join(folder, 'sent.pcap'), ...preferences, '-T', 'fields', ...fields],
      {
        encoding: 'utf8',
        env: { ...process.env, WIRESHARK_CONFIG_DIR: folder },
        stdio: ['ignore', 'pipe', 'ignore'],
      },
    );
    return output.trimEnd().split('\n');
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** A capture of bare IP packets (link type 101). */
function pcap(packets: readonly Uint8Array[]): Buffer {
  const header = Buffer.alloc(24);
  header.writeUInt32LE(0xa1b2c3d4, 0);
  header.writeUInt16LE(2, 4);
  header.writeUInt16LE(4, 6);
  header.writeUInt32LE(65_535, 16);
  header.writeUInt32LE(101, 20);
  const records = packets.flatMap((packet, index) => {
    const record = Buffer.alloc(16);
    record.writeUInt32LE(index, 0);
    record.writeUInt32LE(packet.length, 8);
    record.writeUInt32LE(packet.length, 12);
    return [record, packet];
  });
  return Buffer.concat([header, ...records]);
}

/** The IPv4 and UDP headers that a socket would put in front. */
function inUdp(payload: Uint8Array): Uint8Array {
  const packet = innerPacket({
    source: '192.0.2.1',
    destination: '198.51.100.2',
    length: 28 + payload.length,
    sourcePort: 4500,
    destinationPort: 4500,
  });
  packet.set([(8 + payload.length) >> 8, (8 + payload.length) & 0xff, 0, 0], 24);
  packet.set(payload, 28);
  return packet;
}
