// Everything that the Linux kernel and we share: each algorithm once, then each form of packet with an authenticated cipher, with a
// separate one, and with AH.

import {
  ENCRYPTION,
  type EncryptionAlgorithm,
  encryptionTraits,
  INTEGRITY,
  type IntegrityAlgorithm,
} from '../../../src/model/algorithms.ts';
import type { ExtraHeaders } from './inner-packets.ts';
import { type CaseDescription, type Family, KeyedCase } from './keyed-case.ts';

type Suite = Pick<CaseDescription, 'protocol' | 'encryption' | 'integrity'>;

const COMBINED: Suite = { encryption: 'aes-256-gcm' };
const SEPARATE: Suite = { encryption: 'aes-256-cbc', integrity: 'hmac-sha-256-128' };
const AH: Suite = { protocol: 'ah', integrity: 'hmac-sha-256-128' };
const BUNDLE: Suite = { protocol: 'bundle', encryption: 'aes-128-cbc', integrity: 'hmac-sha1-96' };
/** Octets of an inner packet whose length is to be concealed. */
export const PADDED_LENGTH = 300;
const FAMILIES: readonly Family[] = [4, 6];
/** The last few numbers before the low half of a sequence number starts again. */
const BEFORE_WRAP = 2 ** 32 - 5;

/** Our side is the whole packet engine instead of the data plane alone: the word `engine` on the command line. */
export const IS_ON_ENGINE = process.argv.includes('engine');

let count = 0;

/** What must work, at every size. */
export const EXCHANGES: readonly KeyedCase[] = [
  ...encryptionSuites(),
  ...integritySuites(),
  ...forms(COMBINED),
  ...forms(SEPARATE),
  ...forms(AH),
  ...[COMBINED, SEPARATE].flatMap(encapsulatedForms),
  ...extendedSequenceNumbers(),
  ...FAMILIES.flatMap((outer) => [
    { ...BUNDLE, outer },
    { ...BUNDLE, outer, mode: 'transport' as const },
  ]),
  ...[COMBINED, SEPARATE].map((suite) => ({
    ...suite,
    tfcPadding: PADDED_LENGTH,
    kernelWords: `tfcpad ${PADDED_LENGTH}`,
    remark: 'padded by both to conceal lengths',
  })),
]
  .map(numbered)
  // A form may be one of the algorithms' cases too.
  .filter(({ title }, index, all) => all.findIndex((other) => other.title === title) === index);

/** The same as IPv4 options or IPv6 extension headers: in what we send, and as socket options for what the kernel sends. */
export interface HeaderCase {
  readonly keyed: KeyedCase;
  readonly extra: ExtraHeaders;
  readonly option: readonly { readonly number: number; readonly octets: Uint8Array }[];
}

const ROUTER_ALERT = [148, 4, 0, 0];
const RECORD_ROUTE = [7, 11, 4, 0, 0, 0, 0, 0, 0, 0, 0];
const NO_OPERATION = 1;
const TIMESTAMP = [68, 12, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0];
const IPV4_OPTIONS = Uint8Array.of(...ROUTER_ALERT, ...RECORD_ROUTE, NO_OPERATION, ...TIMESTAMP);
const IP_OPTIONS = 4;
const DESTINATION_OPTIONS = 60;
/** Experimental options to be ignored (RFC 4727 §6): 0x3e may change on the way, 0x1e may not. */
const MUTABLE_OPTION = [0x3e, 4, 1, 2, 3, 4];
const IMMUTABLE_OPTION = [0x1e, 4, 5, 6, 7, 8];
const IPV6_HOPOPTS = 54;
const IPV6_DSTOPTS = 59;

/** What must work with more than plain IP headers in front of AH or ESP, in transport mode. */
export const HEADERS: readonly HeaderCase[] = [AH, COMBINED].flatMap((suite) => [
  {
    keyed: numbered({ ...suite, mode: 'transport', remark: 'router alert, record route and timestamp options' }),
    extra: { octets: IPV4_OPTIONS },
    option: [{ number: IP_OPTIONS, octets: IPV4_OPTIONS }],
  },
  {
    keyed: numbered({ ...suite, mode: 'transport', outer: 6, remark: 'hop-by-hop and destination options' }),
    extra: {
      octets: Uint8Array.of(DESTINATION_OPTIONS, 0, ...MUTABLE_OPTION, 0, 0, ...IMMUTABLE_OPTION),
      first: 0,
      lastAt: 8,
    },
    option: [
      { number: IPV6_HOPOPTS, octets: Uint8Array.of(0, 0, ...MUTABLE_OPTION) },
      { number: IPV6_DSTOPTS, octets: Uint8Array.of(0, 0, ...IMMUTABLE_OPTION) },
    ],
  },
]);

export const SOURCE_ROUTE = numbered({ ...AH, mode: 'transport', isSourceRouted: true, remark: 'loose source route' });

export const PADDED_TO_EIGHT = numbered({
  ...AH,
  isPaddedToEight: true,
  remark: 'from a kernel that pads it to eight octets',
});

/** We send dummies, and nothing else for a while. */
export const DUMMIES: readonly KeyedCase[] = [COMBINED, SEPARATE].map((suite) =>
  numbered({ ...suite, tfcPadding: PADDED_LENGTH, remark: 'dummies' }),
);

export const REPLAYS: readonly KeyedCase[] = [COMBINED, SEPARATE, AH].map(numbered);

export const WRONG_KEYS: readonly KeyedCase[] = [COMBINED, SEPARATE, AH].flatMap((suite) =>
  FAMILIES.map((outer) => numbered({ ...suite, outer, hasWrongKeys: true })),
);

function numbered(description: CaseDescription): KeyedCase {
  count += 1;
  return new KeyedCase(count, description);
}

/** Each cipher, with an integrity algorithm of another name where it has none of its own. */
function encryptionSuites(): readonly Suite[] {
  return [
    ...names(ENCRYPTION).map((encryption): Suite => {
      const isCombined = encryptionTraits(encryption).icvLength > 0;
      return isCombined ? { encryption } : { encryption, integrity: 'hmac-sha-256-128' };
    }),
    { encryption: 'aes-256-cbc' },
  ];
}

/** Each integrity algorithm of the kernel's, in ESP and in AH. */
function integritySuites(): readonly Suite[] {
  const shared = names(INTEGRITY).filter((name) => name !== 'none' && !name.endsWith('-gmac'));
  return shared.flatMap((integrity) => [
    { encryption: 'aes-128-cbc', integrity },
    { protocol: 'ah', integrity },
  ]);
}

function forms(suite: Suite): readonly CaseDescription[] {
  return FAMILIES.flatMap((outer) => [
    ...FAMILIES.map((inner) => ({ ...suite, outer, inner })),
    { ...suite, mode: 'transport' as const, outer },
  ]);
}

function encapsulatedForms(suite: Suite): readonly CaseDescription[] {
  return forms(suite).map((form) => ({ ...form, isInUdp: true }));
}

function extendedSequenceNumbers(): readonly CaseDescription[] {
  const suites: readonly Suite[] = [
    COMBINED,
    { encryption: 'aes-128-ccm' },
    { encryption: 'aes-128-gmac' },
    { encryption: 'chacha20-poly1305' },
    SEPARATE,
    { encryption: 'aes-128-ctr', integrity: 'aes-xcbc-96' },
    AH,
  ];
  const sequence = BEFORE_WRAP;
  return [
    ...suites.map((suite): CaseDescription => ({ ...suite, sequence })),
    { ...COMBINED, mode: 'transport' as const, outer: 6 as const, sequence },
    { ...AH, mode: 'transport' as const, outer: 6 as const, sequence },
  ].map((description) => ({
    ...description,
    esn: true,
    remark: IS_ON_ENGINE ? 'past 2^32 from the kernel' : 'past 2^32',
    // No command lets an SA of the engine's begin in the middle.
    isOurSequenceFresh: IS_ON_ENGINE,
  }));
}

function names(table: Readonly<Record<EncryptionAlgorithm, unknown>>): readonly EncryptionAlgorithm[];
function names(table: Readonly<Record<IntegrityAlgorithm, unknown>>): readonly IntegrityAlgorithm[];
function names(table: object): readonly string[] {
  return Object.keys(table);
}
