import { computeDiffieHellman } from '../src/crypto/diffie-hellman.ts';
import { nodePacketCrypto } from '../src/crypto/node-packet-provider.ts';
import { nodeCrypto } from '../src/crypto/node-provider.ts';
import type { SimulationCrypto } from '../src/simulation/simulated-host.ts';

/** Real cryptography for gateways on a simulated network. */
export const IN_PROCESS_CRYPTO: SimulationCrypto = {
  crypto: nodeCrypto,
  packetCrypto: nodePacketCrypto,
  compute: computeDiffieHellman,
};
