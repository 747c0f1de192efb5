import type { CryptoProvider } from '../crypto/provider.ts';
import type { RandomSource } from '../lib/random.ts';
import type { VpnConfig } from '../model/gateway-config.ts';
import type { Spi } from '../model/ipsec-sa.ts';

/** What IKE needs from outside besides time and messages. */
export interface IkeEnvironment {
  readonly crypto: CryptoProvider;
  readonly random: RandomSource;
  /** Whether an inbound SA of this VPN may have this SPI, where SPIs tell the data plane which part of it an SA belongs to. Absent: any may. */
  readonly acceptsSpi?: (vpn: VpnConfig, spi: Spi) => boolean;
}
