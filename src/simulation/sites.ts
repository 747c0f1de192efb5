// The machines of a simulation and the tunnels between them: a main office in the middle, and one or more branches that it talks to.

import type { IpAddress } from '../model/address.ts';
import type { GatewayConfig } from '../model/gateway-config.ts';
import type { Flow } from './traffic.ts';
import {
  branchName,
  lanHost,
  mainConfig,
  type OfficeParameters,
  officeAddresses,
  officeConfig,
  tunnelInterface,
} from './two-offices.ts';

export const MAIN = 'main';

/** One gateway machine. */
export interface Site {
  readonly name: string;
  readonly address: IpAddress;
  /** By which the others know it: another than its own if there is a NAT in front of it. */
  readonly seen: IpAddress;
  readonly isBehindNat: boolean;
  readonly config: GatewayConfig;
  /** Tunnels, and pairs of IPsec SAs, that it has when all is well. */
  readonly peerCount: number;
  readonly pairCount: number;
}

/** The main office first, then its branches. */
export function makeSites(branches: readonly OfficeParameters[]): readonly Site[] {
  const { gateway: address, seen } = officeAddresses('main', { isBranchBehindNat: false });
  const pairCount = branches.reduce((sum, { selectorCount }) => sum + selectorCount, 0);
  const config = mainConfig(branches);
  const main: Site = { name: MAIN, address, seen, isBehindNat: false, config, peerCount: branches.length, pairCount };
  return [main, ...branches.map((parameters, index) => makeBranch(parameters, index + 1))];
}

/** Every selector of every tunnel, both ways. */
export function makeFlows(branches: readonly OfficeParameters[]): readonly Flow[] {
  return branches.flatMap((parameters, index) =>
    Array.from({ length: parameters.selectorCount }, (_, selector) => flowsOf(index + 1, selector)).flat(),
  );
}

function flowsOf(number: number, selector: number): readonly Flow[] {
  const atMain = { name: MAIN, host: lanHost('main', selector), interface: tunnelInterface('main', number) };
  const atBranch = {
    name: branchName(number),
    host: lanHost('branch', selector, number),
    interface: tunnelInterface('branch', number),
  };
  return [
    [atMain, atBranch],
    [atBranch, atMain],
  ].flatMap(([from, to]) =>
    from && to
      ? [
          {
            from: from.name,
            to: to.name,
            source: from.host,
            destination: to.host,
            fromInterface: from.interface,
            toInterface: to.interface,
          },
        ]
      : [],
  );
}

function makeBranch(parameters: OfficeParameters, number: number): Site {
  const { isBranchBehindNat, selectorCount } = parameters;
  const { gateway: address, seen } = officeAddresses('branch', parameters, number);
  const config = officeConfig('branch', parameters, number);
  const name = branchName(number);
  return { name, address, seen, isBehindNat: isBranchBehindNat, config, peerCount: 1, pairCount: selectorCount };
}
