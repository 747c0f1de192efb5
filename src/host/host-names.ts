import { lookup } from 'node:dns/promises';
import { parseAddress } from '../model/address.ts';
import type { GatewayConfig, IkeGatewayConfig } from '../model/gateway-config.ts';

/** The configuration with peers given by name turned into addresses; names that do not resolve are left out and named in `faults`. */
export async function resolvePeerNames(
  config: GatewayConfig,
): Promise<{ readonly config: GatewayConfig; readonly faults: readonly string[] }> {
  const faults: string[] = [];
  const gateways = await Promise.all(config.gateways.map((gateway) => resolveGateway(gateway, faults)));
  return { config: { ...config, gateways }, faults };
}

async function resolveGateway(gateway: IkeGatewayConfig, faults: string[]): Promise<IkeGatewayConfig> {
  const found = [...gateway.remoteAddresses];
  for (const name of gateway.remoteHostNames) {
    try {
      const answers = await lookup(name, { all: true });
      for (const answer of answers) {
        const parsed = parseAddress(answer.address);
        if (parsed !== undefined && !found.includes(parsed)) found.push(parsed);
      }
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      faults.push(`[${gateway.origin.path}] address ${name}: ${reason}`);
    }
  }
  return { ...gateway, remoteAddresses: found };
}
