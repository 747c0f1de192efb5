import type { IpAddress } from '../model/address.ts';
import type { GatewayConfig, IkeGatewayConfig } from '../model/gateway-config.ts';

/** The configured IKEv1 gateways by where their peers are. */
export class GatewayIndex {
  readonly #byRemoteAddress = new Map<IpAddress, IkeGatewayConfig[]>();
  readonly #dynamic: readonly IkeGatewayConfig[];

  constructor(config: GatewayConfig) {
    const gateways = config.gateways.filter(({ version }) => version === 'v1-only');
    for (const gateway of gateways) {
      for (const address of gateway.remoteAddresses) {
        const others = this.#byRemoteAddress.get(address) ?? [];
        others.push(gateway);
        this.#byRemoteAddress.set(address, others);
      }
    }
    this.#dynamic = gateways.filter(({ isDynamic }) => isDynamic);
  }

  /** Gateways that this address belongs to, reached over this local address. */
  at(remoteAddress: IpAddress, localAddress: IpAddress): readonly IkeGatewayConfig[] {
    return (this.#byRemoteAddress.get(remoteAddress) ?? []).filter((gateway) => isReachedOver(gateway, localAddress));
  }

  /** Gateways whose peer may come from anywhere. */
  dynamic(localAddress: IpAddress): readonly IkeGatewayConfig[] {
    return this.#dynamic.filter((gateway) => isReachedOver(gateway, localAddress));
  }
}

function isReachedOver(gateway: IkeGatewayConfig, localAddress: IpAddress): boolean {
  return gateway.localAddress === undefined || gateway.localAddress === localAddress;
}
