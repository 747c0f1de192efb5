import { execFileSync } from 'node:child_process';
import { accessSync, constants, existsSync } from 'node:fs';
import { type Prefix, parsePrefix } from '../model/address.ts';
import type { GatewayConfig, Origin, TunnelInterfaceConfig } from '../model/gateway-config.ts';

/** Why tests that change a network namespace cannot run here, in words; `false` if they can. For the `skip` of a test. */
export function namespaceTestSkip(): string | false {
  if (process.getuid?.() !== 0) return 'needs root, to make a network namespace and TUN devices';
  try {
    accessSync('/dev/net/tun', constants.R_OK | constants.W_OK);
  } catch {
    return 'needs /dev/net/tun';
  }
  return existsSync('/proc/self/ns/net') ? false : 'needs network namespaces';
}

/** Runs a compiled module in a fresh network namespace, which goes with the process; returns what it printed. */
export function runInNamespace(module: URL, ...parameters: readonly string[]): string {
  const command = ['--net', process.execPath, '--enable-source-maps', module.pathname, ...parameters];
  return execFileSync('unshare', command, { encoding: 'utf8', timeout: 60_000 });
}

export const NO_ORIGIN: Origin = { path: 'test', line: 0 };

export function prefix(text: string): Prefix {
  const parsed = parsePrefix(text);
  if (!parsed) throw new Error(`${text} is no prefix`);
  return parsed;
}

export function tunnel(name: string, ...addresses: readonly string[]): TunnelInterfaceConfig {
  return { name, origin: NO_ORIGIN, addresses: addresses.map(prefix), mtu: 1400 };
}

/** A configuration of tunnel interfaces and routes (`10.2.0.0/16 st0.0`) alone. */
export function networkConfig(tunnels: readonly TunnelInterfaceConfig[], routes: readonly string[]): GatewayConfig {
  return {
    gateways: [],
    vpns: [],
    tunnelInterfaces: tunnels,
    routes: routes.map((text) => {
      const [destination = '', tunnelInterface = ''] = text.split(' ');
      return { prefix: prefix(destination), tunnelInterface, metric: 5, origin: NO_ORIGIN };
    }),
  };
}
