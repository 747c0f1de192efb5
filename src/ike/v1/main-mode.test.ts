import { test } from 'node:test';
import { TestPair } from './two-endpoints.fixture.ts';

const MAIN = [
  '--> HDR, SA, VID',
  '<-- HDR, SA, VID',
  '--> HDR, KE, Ni, NAT-D, NAT-D',
  '<-- HDR, KE, Nr, NAT-D, NAT-D',
  '--> HDR*, IDii, HASH_I, N(INITIAL-CONTACT)',
  '<-- HDR*, IDir, HASH_R, N(INITIAL-CONTACT)',
];
const QUICK = ['--> HDR*, HASH(1), SA, Ni, IDci, IDcr', '<-- HDR*, HASH(2), SA, Nr, IDci, IDcr', '--> HDR*, HASH(3)'];

test('RFC 2409 §5.4, §5.5: Main Mode and Quick Mode bring up a tunnel in nine messages', () => {
  const lab = new TestPair();
  lab.initiator.initiate();
  for (const line of [...MAIN, ...QUICK]) lab.expect(line);
  lab.expectSilence();
  lab.expectEstablished();
});
