import type { CryptoProvider } from '../crypto/provider.ts';
import type { RandomSource } from '../lib/random.ts';

/** What IKE needs from outside besides time and messages. */
export interface IkeEnvironment {
  readonly crypto: CryptoProvider;
  readonly random: RandomSource;
}
