import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isSupportedDhGroup } from '../../crypto/diffie-hellman.ts';
import { utf8 } from '../../lib/bytes.ts';
import { SeededRandom } from '../../lib/random.ts';
import {
  DH_GROUPS,
  type DhGroup,
  ENCRYPTION,
  type EncryptionAlgorithm,
  encryptionTraits,
  type HashAlgorithm,
  INTEGRITY,
  type IntegrityAlgorithm,
  integrityTraits,
} from '../../model/algorithms.ts';
import type { Identity } from '../../model/identity.ts';
import type { IpsecMode, IpsecProtocol } from '../../model/ipsec-sa.ts';
import { TestPair } from './two-endpoints.fixture.ts';

interface Combination {
  readonly phase1: 'main' | 'aggressive';
  readonly cipher: EncryptionAlgorithm;
  readonly hash: HashAlgorithm;
  readonly group: DhGroup;
  readonly identity: 'address' | 'fqdn' | 'user-fqdn' | 'key-id';
  readonly pfs: DhGroup | undefined;
  readonly protocol: IpsecProtocol;
  readonly ipsecMode: IpsecMode;
  readonly espCipher: EncryptionAlgorithm;
  readonly integrity: IntegrityAlgorithm;
}

const GROUPS = keysOf(DH_GROUPS).filter(isSupportedDhGroup);
/** The largest groups take a second each: they get one test, not all pairs. */
const QUICK_GROUPS = GROUPS.filter((group) => DH_GROUPS[group].publicLength <= 256);

const CHOICES: { readonly [K in keyof Combination]: readonly Combination[K][] } = {
  phase1: ['main', 'aggressive'],
  cipher: keysOf(ENCRYPTION).filter((name) => encryptionTraits(name).phase1 !== undefined),
  hash: ['md5', 'sha1', 'sha-256', 'sha-384', 'sha-512'],
  group: QUICK_GROUPS,
  identity: ['address', 'fqdn', 'user-fqdn', 'key-id'],
  pfs: [undefined, 'group1', 'group2', 'group5', 'group14', 'group19', 'group20', 'group21', 'group24'],
  protocol: ['esp', 'ah'],
  ipsecMode: ['tunnel', 'transport'],
  espCipher: keysOf(ENCRYPTION).filter((name) => encryptionTraits(name).esp !== undefined),
  integrity: keysOf(INTEGRITY).filter((name) => integrityTraits(name).attribute !== undefined),
};

test('every pair of choices {mode, cipher, hash, group, identity, PFS, protocol, transform} negotiates', () => {
  const combinations = allPairs();
  assert.ok(combinations.length > 100);
  for (const combination of combinations) negotiate(combination);
});

for (const group of GROUPS.filter((name) => !QUICK_GROUPS.includes(name))) {
  test(`${group} negotiates in both phases`, () => negotiate({ ...defaults(), group, pfs: group }));
}

function negotiate(combination: Combination): void {
  const { phase1, cipher, hash, group, identity, pfs, protocol, ipsecMode, espCipher } = combination;
  const isCombined = encryptionTraits(espCipher).icvLength > 0;
  // A cipher that authenticates takes no second algorithm, and AH has no cipher; GMAC as integrity is for AH only.
  const isForAh = combination.integrity.endsWith('gmac');
  const integrity =
    protocol === 'ah' ? combination.integrity : isCombined ? 'none' : isForAh ? 'hmac-sha1-96' : combination.integrity;
  const id = identityOf(identity);
  const lab = new TestPair({
    both: {
      policy: { mode: phase1 },
      ikeProposal: { encryption: cipher, hash, dhGroup: group },
      ipsecProposal: { protocol, encryption: protocol === 'ah' ? 'null' : espCipher, integrity },
      vpn: { mode: ipsecMode, ...(pfs ? { pfsGroup: pfs } : {}) },
    },
    ...(id ? { initiator: { gateway: { localIdentity: id } }, responder: { gateway: { remoteIdentity: id } } } : {}),
  });
  try {
    lab.establish();
  } catch (error) {
    throw new Error(`${JSON.stringify(combination)}: ${error}`);
  }
  const [pair] = lab.responder.endpoint.ipsecSas(lab.now);
  assert.deepEqual(
    [pair?.protocol, pair?.mode, pair?.integrity, pair?.pfsGroup],
    [protocol, ipsecMode, integrity, pfs],
  );
  const added = lab.responder.commands.find(({ kind }) => kind === 'add-outbound');
  assert.ok(added?.kind === 'add-outbound');
  assert.equal(added.sa.integrityKey.length, integrityTraits(integrity).keyLength);
  const { keyLength, saltLength } = encryptionTraits(protocol === 'ah' ? 'null' : espCipher);
  assert.equal(added.sa.encryptionKey.length, keyLength + saltLength);
}

function identityOf(kind: Combination['identity']): Identity | undefined {
  switch (kind) {
    case 'address':
      return undefined;
    case 'key-id':
      return { kind, id: utf8('branch') };
    case 'fqdn':
    case 'user-fqdn':
      return { kind, name: kind === 'fqdn' ? 'branch.example' : 'it@branch.example' };
  }
}

function defaults(): Combination {
  return {
    phase1: 'main',
    cipher: 'aes-128-cbc',
    hash: 'sha-256',
    group: 'group19',
    identity: 'address',
    pfs: undefined,
    protocol: 'esp',
    ipsecMode: 'tunnel',
    espCipher: 'aes-128-gcm',
    integrity: 'hmac-sha-256-128',
  };
}

/** Combinations in which every choice meets every choice of every other kind: greedy, and the same at each run. */
function allPairs(): readonly Combination[] {
  const random = new SeededRandom(42);
  const names = keysOf(CHOICES);
  const missing = new Set<string>();
  for (const [index, a] of names.entries()) {
    for (const b of names.slice(index + 1)) {
      for (const left of CHOICES[a]) for (const right of CHOICES[b]) missing.add(`${a}=${left} ${b}=${right}`);
    }
  }
  const combinations: Combination[] = [];
  while (missing.size > 0) {
    let best: Combination = defaults();
    let bestCount = 0;
    for (let attempt = 0; attempt < 60; attempt++) {
      const candidate = draw(random);
      const count = pairsOf(candidate).filter((pair) => missing.has(pair)).length;
      if (count > bestCount) [best, bestCount] = [candidate, count];
    }
    if (bestCount === 0) continue;
    for (const pair of pairsOf(best)) missing.delete(pair);
    combinations.push(best);
  }
  return combinations;
}

function pairsOf(combination: Combination): readonly string[] {
  const names = keysOf(CHOICES);
  return names.flatMap((a, index) =>
    names.slice(index + 1).map((b) => `${a}=${combination[a]} ${b}=${combination[b]}`),
  );
}

function draw(random: SeededRandom): Combination {
  const pick = <T>(values: readonly T[], otherwise: T): T =>
    values[Math.floor(random.fraction() * values.length)] ?? otherwise;
  const base = defaults();
  return {
    phase1: pick(CHOICES.phase1, base.phase1),
    cipher: pick(CHOICES.cipher, base.cipher),
    hash: pick(CHOICES.hash, base.hash),
    group: pick(CHOICES.group, base.group),
    identity: pick(CHOICES.identity, base.identity),
    pfs: pick(CHOICES.pfs, base.pfs),
    protocol: pick(CHOICES.protocol, base.protocol),
    ipsecMode: pick(CHOICES.ipsecMode, base.ipsecMode),
    espCipher: pick(CHOICES.espCipher, base.espCipher),
    integrity: pick(CHOICES.integrity, base.integrity),
  };
}

function keysOf<K extends string>(table: Readonly<Record<K, unknown>>): readonly K[] {
  const keys: K[] = [];
  for (const key in table) keys.push(key);
  return keys;
}
