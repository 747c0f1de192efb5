import { BELIEVED_PACKETS_TARGET } from './believed-packets-target.ts';
import { CONFIGURATION_TARGET } from './configuration-target.ts';
import { DATA_PLANE_TARGET } from './data-plane-target.ts';
import { DECODER_TARGETS } from './decoder-targets.ts';
import type { FuzzTarget } from './fuzzer.ts';
import { INTERFERENCE_TARGET, LIFETIME_TARGET, UNDER_FIRE_TARGET } from './gateway-targets.ts';
import { TRUSTED_PEER_TARGET } from './trusted-peer-target.ts';

/** Everything that takes octets from strangers. Names are those of the folders in test/corpus. */
export const FUZZ_TARGETS: readonly FuzzTarget[] = [
  ...DECODER_TARGETS,
  DATA_PLANE_TARGET,
  BELIEVED_PACKETS_TARGET,
  CONFIGURATION_TARGET,
  UNDER_FIRE_TARGET,
  INTERFERENCE_TARGET,
  LIFETIME_TARGET,
  TRUSTED_PEER_TARGET,
];
