import type { GatewayConfig } from '../model/gateway-config.ts';
import type { Compilation } from './compilation.ts';
import { compileGateway } from './compile-gateway.ts';
import { compileRoutes, compileTunnelInterfaces } from './compile-network.ts';
import { PolicyCompiler } from './compile-policy.ts';
import { VpnCompiler } from './compile-vpn.ts';

/** Junos' default once `tcp-mss ipsec-vpn` is there. */
const TCP_MSS_DEFAULT = 1320;
const BAD_SPI_RESPONSES_DEFAULT = 5;

/** Compiles what can be compiled; whatever cannot is left out and reported in `compilation`, so that one run says everything. */
export function compile(compilation: Compilation): GatewayConfig {
  const { root } = compilation;
  const policies = new PolicyCompiler(compilation);
  const gateways = root
    .entries('security', 'ike', 'gateway')
    .flatMap((statement) => compileGateway(compilation, policies, statement) ?? []);
  const compiler = new VpnCompiler(compilation);
  const known = new Set(gateways.map((gateway) => gateway.name));
  const vpns = root
    .entries('security', 'ipsec', 'vpn')
    .flatMap((statement) => compiler.vpn(statement) ?? [])
    .filter((vpn) => known.has(vpn.gateway));
  const hostName = root.value('system', 'host-name');
  const mss = root.at('security', 'flow', 'tcp-mss', 'ipsec-vpn');
  const badSpi = root.at('security', 'ike', 'respond-bad-spi');
  const halfOpenMax = root.at('security', 'ike', 'session', 'half-open')?.count('max-count');
  return {
    ...(hostName !== undefined && { hostName }),
    gateways,
    vpns,
    tunnelInterfaces: compileTunnelInterfaces(compilation, vpns),
    routes: compileRoutes(compilation, vpns),
    ...(mss && { tcpMss: mss.count('mss') ?? TCP_MSS_DEFAULT }),
    ...(badSpi && { respondBadSpi: badSpi.count('max-responses') ?? BAD_SPI_RESPONSES_DEFAULT }),
    ...(halfOpenMax !== undefined && { halfOpenMax }),
  };
}
