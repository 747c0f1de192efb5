// What a seed stands for: how bad the network is, what the two offices have agreed on, and what will happen to them. Everything is
// drawn by chance, the probabilities included, so that one seed is a quiet line and the next one a storm.

import { type Milliseconds, milliseconds, type Seconds, seconds } from '../lib/time.ts';
import type { EncryptionAlgorithm, IntegrityAlgorithm } from '../model/algorithms.ts';
import type { IpsecProtocol } from '../model/ipsec-sa.ts';
import type { Chance } from './chance.ts';
import type { LinkQuality } from './faults.ts';
import type { NatFiltering } from './nat.ts';
import type { ClockError } from './simulated-host.ts';
import { MAIN } from './sites.ts';
import { branchName, type OfficeParameters } from './two-offices.ts';

/** A disturbance during the first part of a run. Times are milliseconds of virtual time. */
export type Disturbance =
  | {
      readonly kind: 'partition';
      readonly at: number;
      readonly lasts: Milliseconds;
      readonly branch: string;
      readonly direction: 'both' | 'to-main' | 'to-branch';
    }
  | { readonly kind: 'crash'; readonly at: number; readonly lasts: Milliseconds; readonly site: string }
  | { readonly kind: 'restart'; readonly at: number; readonly lasts: Milliseconds; readonly site: string }
  | { readonly kind: 'nat-rebinding'; readonly at: number; readonly branch: string }
  | { readonly kind: 'clear-ike'; readonly at: number; readonly site: string }
  | { readonly kind: 'clear-ipsec'; readonly at: number; readonly site: string }
  | { readonly kind: 'unrelated-commit'; readonly at: number; readonly site: string }
  | { readonly kind: 'changing-commit'; readonly at: number; readonly site: string; readonly ipsecLifetime: Seconds };

/** All that is drawn from a seed; plain data. */
export interface SimulationParameters {
  /** One tunnel for each, to the main office. */
  readonly branches: readonly OfficeParameters[];
  readonly faultsSeconds: Seconds;
  readonly quality: LinkQuality;
  /**
   * Whether corruption and an attacker's damage strike the unprotected messages of phase 1 too. What these say of NAT and of dead peer
   * detection is believed, so the tunnel may then need a new phase 1 to recover.
   */
  readonly damagesClear: boolean;
  /** Of the main office, then of each branch. */
  readonly clocks: readonly ClockError[];
  readonly nat?: {
    readonly filtering: NatFiltering;
    readonly mappingTimeout: Milliseconds;
    readonly preservesPorts: boolean;
  };
  /** Between two packets of an attacker on the path, on average; absent without one. */
  readonly attackInterval?: Milliseconds;
  /** Between two packets of one LAN to the other. */
  readonly trafficInterval: Milliseconds;
  readonly disturbances: readonly Disturbance[];
}

export interface ParameterOptions {
  /** Virtual length of the part with faults. */
  readonly faultsSeconds: Seconds;
  /** Loss at most, from 0 to 1. */
  readonly lossMax: number;
}

type Establish = OfficeParameters['establishMain'];

interface IpsecTransform {
  readonly protocol: IpsecProtocol;
  readonly encryption: EncryptionAlgorithm;
  readonly integrity: IntegrityAlgorithm;
}

const BRANCHES_MAX = 4;
const DAY = 86_400_000;
/** On average, one disturbance in so many seconds. */
const DISTURBANCE_INTERVAL_MEAN = 120;
/** Fewer groups than there are: the cheap ones mostly, since what is being tested is not the arithmetic. */
const GROUPS = ['group19', 'group19', 'group19', 'group19', 'group19', 'group20', 'group2', 'group14'] as const;

export function drawParameters(chance: Chance, options: ParameterOptions): SimulationParameters {
  const branches = drawBranches(chance.fork('branches'));
  const faultsMilliseconds = options.faultsSeconds * 1000;
  const parameters: SimulationParameters = {
    branches,
    faultsSeconds: options.faultsSeconds,
    quality: drawQuality(chance.fork('quality'), options.lossMax),
    // Not with AH, which an altered NAT-D has refused for good.
    damagesClear: branches.every(({ protocol }) => protocol === 'esp') && chance.happens(0.3),
    clocks: Array.from({ length: branches.length + 1 }, () => drawClock(chance)),
    ...(branches.some(({ isBranchBehindNat }) => isBranchBehindNat) ? { nat: drawNat(chance.fork('nat')) } : {}),
    ...(chance.happens(0.4) ? { attackInterval: milliseconds(chance.integer(500, 5000)) } : {}),
    trafficInterval: milliseconds(chance.integer(500, 3000)),
    disturbances: drawDisturbances(chance.fork('disturbances'), faultsMilliseconds, branches),
  };
  // Drawn last, so that everything else about a seed is what it was before there were dummies.
  const confidentiality = chance.fork('confidentiality');
  return { ...parameters, branches: branches.map((each) => ({ ...each, ...drawConfidentiality(confidentiality) })) };
}

function drawBranches(chance: Chance): readonly OfficeParameters[] {
  const count = chance.happens(0.75) ? 1 : chance.integer(2, BRANCHES_MAX);
  const sharesNat = chance.happens(0.5);
  return Array.from({ length: count }, () => {
    const parameters = drawOffices(chance, chance.happens(0.35));
    // Main Mode picks the pre-shared key by the address, so only branches that give their names first may have the same one.
    const canShare = count > 1 && parameters.isBranchBehindNat && parameters.isBranchDynamic === true;
    return canShare && sharesNat ? { ...parameters, sharesNat } : parameters;
  });
}

function drawOffices(chance: Chance, isBranchBehindNat: boolean): OfficeParameters {
  const usesPfs = chance.happens(0.5);
  const { protocol, encryption, integrity } = drawIpsecTransform(chance, isBranchBehindNat);
  // Behind a NAT only the branch can begin; in the open, at least one of them does without being asked.
  const establishBranch = isBranchBehindNat || chance.happens(0.6) ? 'immediately' : 'on-traffic';
  const establishMain = isBranchBehindNat
    ? chance.pick<Establish>(['on-traffic', 'responder-only'])
    : establishBranch === 'immediately'
      ? chance.pick<Establish>(['immediately', 'on-traffic', 'responder-only'])
      : 'immediately';
  const mode = chance.happens(0.25) ? 'aggressive' : 'main';
  const isBranchDynamic = mode === 'aggressive' && establishBranch === 'immediately' && chance.happens(0.5);
  return {
    mode,
    encryption: chance.pick(['aes-128-cbc', 'aes-256-cbc', '3des-cbc']),
    hash: chance.pick(['sha1', 'sha-256', 'sha-384']),
    dhGroup: chance.pick(GROUPS),
    ...(usesPfs ? { pfsGroup: chance.pick(GROUPS) } : {}),
    protocol,
    ipsecEncryption: encryption,
    ipsecIntegrity: integrity,
    ikeLifetime: seconds(chance.integer(180, 900)),
    ipsecLifetime: seconds(chance.integer(180, 600)),
    deadPeerDetection: {
      mode: chance.pick(['optimized', 'probe-idle-tunnel', 'always-send']),
      interval: seconds(chance.integer(10, 20)),
      threshold: chance.integer(1, 5),
    },
    ...(chance.happens(0.2) ? { ipsecLifetimeKilobytes: chance.integer(64, 256) } : {}),
    ...(chance.happens(0.2) ? { fragmentSize: chance.integer(200, 600) } : {}),
    ...(isBranchDynamic ? { isBranchDynamic } : {}),
    establishMain: isBranchDynamic ? 'responder-only' : establishMain,
    establishBranch,
    isBranchBehindNat,
    selectorCount: chance.happens(0.25) ? 3 : 1,
  };
}

function drawConfidentiality(chance: Chance): Pick<OfficeParameters, 'tfcPadding' | 'dummyInterval'> {
  return {
    ...(chance.happens(0.2) ? { tfcPadding: chance.integer(100, 2000) } : {}),
    // Shorter and longer than the pauses between packets.
    ...(chance.happens(0.2) ? { dummyInterval: seconds(chance.integer(1, 5)) } : {}),
  };
}

function drawIpsecTransform(chance: Chance, isBranchBehindNat: boolean): IpsecTransform {
  // AH covers the addresses that a NAT changes (RFC 3715 §2.1).
  if (!isBranchBehindNat && chance.happens(0.1)) {
    return { protocol: 'ah', encryption: 'null', integrity: 'hmac-sha-256-128' };
  }
  if (chance.happens(0.5)) {
    return {
      protocol: 'esp',
      encryption: chance.pick<EncryptionAlgorithm>(['aes-128-gcm', 'aes-256-gcm']),
      integrity: 'none',
    };
  }
  const encryption = chance.pick<EncryptionAlgorithm>(['aes-128-cbc', 'aes-256-cbc']);
  return {
    protocol: 'esp',
    encryption,
    integrity: chance.pick<IntegrityAlgorithm>(['hmac-sha1-96', 'hmac-sha-256-128']),
  };
}

function drawQuality(chance: Chance, lossMax: number): LinkQuality {
  return {
    loss: chance.happens(0.2) ? 0 : chance.between(0, lossMax),
    duplication: chance.happens(0.5) ? 0 : chance.between(0, 0.2),
    corruption: chance.happens(0.5) ? 0 : chance.between(0, 0.05),
    reordering: chance.happens(0.5) ? 0 : chance.between(0, 0.3),
    delay: milliseconds(chance.integer(1, 150)),
    jitter: milliseconds(chance.integer(0, 200)),
    lateDelay: milliseconds(chance.integer(100, 3000)),
  };
}

/** Clocks that started at different times, and are up to a tenth of a percent fast or slow. */
function drawClock(chance: Chance): ClockError {
  return { offset: chance.integer(0, DAY), rate: chance.happens(0.5) ? 1 : 1 + chance.between(-0.001, 0.001) };
}

function drawNat(chance: Chance): NonNullable<SimulationParameters['nat']> {
  return {
    filtering: chance.pick(['endpoint-independent', 'address-dependent', 'address-and-port-dependent']),
    // RFC 4787 REQ-5 asks for two minutes; many give less.
    mappingTimeout: milliseconds(chance.integer(30, 180) * 1000),
    preservesPorts: chance.happens(0.5),
  };
}

function drawDisturbances(chance: Chance, end: number, branches: readonly OfficeParameters[]): Disturbance[] {
  const disturbances: Disturbance[] = [];
  if (chance.happens(0.2)) return disturbances;
  const mean = (DISTURBANCE_INTERVAL_MEAN * 1000) / branches.length;
  for (let at = chance.integer(5000, 60_000); at < end; at += Math.floor(chance.between(0.2, 1.8) * mean)) {
    disturbances.push(drawDisturbance(chance, at, branches));
  }
  return disturbances;
}

function drawDisturbance(chance: Chance, at: number, branches: readonly OfficeParameters[]): Disturbance {
  const number = chance.integer(1, branches.length);
  const branch = branchName(number);
  const site = chance.happens(0.5) ? MAIN : branch;
  const kinds: [Disturbance['kind'], ...Disturbance['kind'][]] = [
    'partition',
    'partition',
    'crash',
    'restart',
    'clear-ike',
    'clear-ipsec',
    'unrelated-commit',
    'changing-commit',
  ];
  if (branches[number - 1]?.isBranchBehindNat) kinds.push('nat-rebinding', 'nat-rebinding');
  const kind = chance.pick(kinds);
  const lasts = milliseconds(chance.integer(1, 120) * 500);
  switch (kind) {
    case 'partition':
      return { kind, at, lasts, branch, direction: chance.pick(['both', 'to-main', 'to-branch']) };
    case 'crash':
    case 'restart':
      return { kind, at, lasts, site };
    case 'nat-rebinding':
      return { kind, at, branch };
    case 'changing-commit':
      return { kind, at, site, ipsecLifetime: seconds(chance.integer(180, 600)) };
    default:
      return { kind, at, site };
  }
}
