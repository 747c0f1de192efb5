// The configuration of both ends of the simulated tunnel, as the configuration language would have compiled it.

import { utf8 } from '../lib/bytes.ts';
import { invariant } from '../lib/invariant.ts';
import { Secret } from '../lib/secret.ts';
import { type Seconds, seconds } from '../lib/time.ts';
import { address, type IpAddress, type Prefix, parsePrefix } from '../model/address.ts';
import type { DhGroup, EncryptionAlgorithm, HashAlgorithm, IntegrityAlgorithm } from '../model/algorithms.ts';
import type {
  DeadPeerDetectionConfig,
  GatewayConfig,
  IkeGatewayConfig,
  Origin,
  VpnConfig,
} from '../model/gateway-config.ts';
import type { Identity } from '../model/identity.ts';
import type { IpsecProtocol } from '../model/ipsec-sa.ts';
import { selectorFromPrefix } from '../model/traffic-selector.ts';

export type Office = 'main' | 'branch';

/** Where a branch is to be found. */
export interface BranchPlace {
  /** Whether the branch sits behind a NAT and is known to the main office by its name. */
  readonly isBranchBehindNat: boolean;
  /** Whether other branches sit behind the same NAT. */
  readonly sharesNat?: boolean;
}

/** What the two ends agree on, and how eager each is. Plain data, so that a report can show it. */
export interface OfficeParameters extends BranchPlace {
  readonly mode: 'main' | 'aggressive';
  readonly encryption: EncryptionAlgorithm;
  readonly hash: HashAlgorithm;
  readonly dhGroup: DhGroup;
  readonly pfsGroup?: DhGroup;
  readonly protocol: IpsecProtocol;
  readonly ipsecEncryption: EncryptionAlgorithm;
  readonly ipsecIntegrity: IntegrityAlgorithm;
  readonly ikeLifetime: Seconds;
  readonly ipsecLifetime: Seconds;
  readonly ipsecLifetimeKilobytes?: number;
  readonly deadPeerDetection: DeadPeerDetectionConfig;
  /** Octets of an IKE fragment; absent: IKE messages are not fragmented. */
  readonly fragmentSize?: number;
  /** Both offices pad inner packets to so many octets; absent: neither does. */
  readonly tfcPadding?: number;
  /** Both offices send dummies at this interval; absent: neither does. */
  readonly dummyInterval?: Seconds;
  /** Whether the main office knows the branch by its identity alone, from wherever it calls. */
  readonly isBranchDynamic?: boolean;
  readonly establishMain: VpnConfig['establishTunnels'];
  readonly establishBranch: VpnConfig['establishTunnels'];
  /** Traffic selectors, each with an SA pair of its own; 1 means the proxy identity alone. */
  readonly selectorCount: number;
}

/** The addresses of one office. */
export interface OfficeAddresses {
  /** Of the gateway itself; private if there is a NAT in front of it. */
  readonly gateway: IpAddress;
  /** By which the peer knows it. */
  readonly seen: IpAddress;
}

const NAT_KEEPALIVE_INTERVAL = seconds(20);
const TUNNEL_MTU = 1400;
const REPLAY_WINDOW = 64;
const FROM_NO_FILE: Origin = { path: 'simulation', line: 0 };

/** Addresses from the ranges for documentation (RFC 5737 §3), and private ones (RFC 1918 §3). `number` counts the branches from 1. */
export function officeAddresses(office: Office, parameters: BranchPlace, number = 1): OfficeAddresses {
  if (office === 'main') return { gateway: address('198.51.100.1'), seen: address('198.51.100.1') };
  const seen = parameters.sharesNat ? address('203.0.113.200') : address(`203.0.113.${number}`);
  return { gateway: parameters.isBranchBehindNat ? address(`192.168.7.${number + 1}`) : seen, seen };
}

/** `branch`, `branch-2`, `branch-3`. */
export function branchName(number: number): string {
  return number === 1 ? 'branch' : `branch-${number}`;
}

/** A host in the LAN of a selector. */
export function lanHost(office: Office, selector: number, number = 1): IpAddress {
  return address(`10.${lanNumber(office, number)}.${selector}.10`);
}

/** The tunnel interface of an office towards a branch. */
export function tunnelInterface(office: Office, number = 1): string {
  return office === 'main' ? `st0.${number - 1}` : 'st0.0';
}

/** One end of the tunnel between the main office and a branch. */
export function officeConfig(office: Office, parameters: OfficeParameters, number = 1): GatewayConfig {
  const name = tunnelInterface(office, number);
  return {
    hostName: office === 'main' ? 'main' : branchName(number),
    gateways: [ikeGateway(office, parameters, number)],
    vpns: [vpn(office, parameters, number)],
    tunnelInterfaces: [{ name, origin: FROM_NO_FILE, addresses: [], mtu: TUNNEL_MTU }],
    routes: [],
    respondBadSpi: 5,
  };
}

/** The main office with all its branches. */
export function mainConfig(branches: readonly OfficeParameters[]): GatewayConfig {
  const ends = branches.map((parameters, index) => officeConfig('main', parameters, index + 1));
  return {
    hostName: 'main',
    gateways: ends.flatMap((end) => end.gateways),
    vpns: ends.flatMap((end) => end.vpns),
    tunnelInterfaces: ends.flatMap((end) => end.tunnelInterfaces),
    routes: [],
    respondBadSpi: 5,
  };
}

/** The same configuration with one more tunnel, to a peer that never answers: what a commit during operation may add. */
export function withUnrelatedVpn(config: GatewayConfig): GatewayConfig {
  const [gateway] = config.gateways;
  const [tunnel] = config.vpns;
  invariant(gateway !== undefined && tunnel !== undefined, 'an office has a tunnel');
  return {
    ...config,
    gateways: [
      ...config.gateways,
      { ...gateway, name: 'elsewhere', isDynamic: false, remoteAddresses: [address('192.0.2.99')] },
    ],
    vpns: [
      ...config.vpns,
      { ...tunnel, name: 'elsewhere', gateway: 'elsewhere', bindInterface: 'st0.99', establishTunnels: 'on-traffic' },
    ],
  };
}

export function withoutUnrelatedVpn(config: GatewayConfig): GatewayConfig {
  const isOurs = ({ name }: { readonly name: string }): boolean => name !== 'elsewhere';
  return { ...config, gateways: config.gateways.filter(isOurs), vpns: config.vpns.filter(isOurs) };
}

/** The same tunnel with another lifetime: what a commit during operation may change, and its SAs with it. */
export function withIpsecLifetime(config: GatewayConfig, lifetime: Seconds): GatewayConfig {
  const vpns = config.vpns.map((tunnel) => ({
    ...tunnel,
    proposals: tunnel.proposals.map((proposal) => ({ ...proposal, lifetime })),
  }));
  return { ...config, vpns };
}

function ikeGateway(office: Office, parameters: OfficeParameters, number: number): IkeGatewayConfig {
  const local = officeAddresses(office, parameters, number);
  const remoteOffice = office === 'main' ? 'branch' : 'main';
  const remote = officeAddresses(remoteOffice, parameters, number);
  const isDynamic = office === 'main' && parameters.isBranchDynamic === true;
  const usesNames = parameters.isBranchBehindNat || parameters.mode === 'aggressive';
  const identities = { localIdentity: identity(office, number), remoteIdentity: identity(remoteOffice, number) };
  return {
    name: remoteName(office, number),
    origin: FROM_NO_FILE,
    version: 'v1-only',
    policy: {
      name: 'policy',
      origin: FROM_NO_FILE,
      mode: parameters.mode,
      proposals: [
        {
          name: 'proposal',
          origin: FROM_NO_FILE,
          authenticationMethod: 'pre-shared-keys',
          encryption: parameters.encryption,
          hash: parameters.hash,
          dhGroup: parameters.dhGroup,
          lifetime: parameters.ikeLifetime,
        },
      ],
      preSharedKey: new Secret(utf8(`known to main and ${branchName(number)}`)),
    },
    remoteAddresses: isDynamic ? [] : [remote.seen],
    remoteHostNames: [],
    isDynamic,
    externalInterface: 'ge-0/0/0.0',
    localAddress: local.gateway,
    ...(usesNames ? identities : {}),
    acceptsAnyIdentity: false,
    natTraversal: true,
    natKeepalive: NAT_KEEPALIVE_INTERVAL,
    deadPeerDetection: parameters.deadPeerDetection,
    ...(parameters.fragmentSize === undefined ? {} : { fragmentSize: parameters.fragmentSize }),
  };
}

function vpn(office: Office, parameters: OfficeParameters, number: number): VpnConfig {
  const remote = office === 'main' ? 'branch' : 'main';
  const { selectorCount: count, ipsecLifetimeKilobytes: kilobytes, tfcPadding, dummyInterval } = parameters;
  return {
    name: `to-${remoteName(office, number)}`,
    origin: FROM_NO_FILE,
    gateway: remoteName(office, number),
    bindInterface: tunnelInterface(office, number),
    proposals: [
      {
        name: 'proposal',
        origin: FROM_NO_FILE,
        protocol: parameters.protocol,
        encryption: parameters.ipsecEncryption,
        integrity: parameters.ipsecIntegrity,
        lifetime: parameters.ipsecLifetime,
        ...(kilobytes === undefined ? {} : { lifetimeKilobytes: kilobytes }),
        extendedSequenceNumbers: false,
      },
    ],
    ipsecPolicyOrigin: FROM_NO_FILE,
    ...(parameters.pfsGroup === undefined ? {} : { pfsGroup: parameters.pfsGroup }),
    selectors: Array.from({ length: count }, (_, index) => ({
      ...(count === 1 ? {} : { name: `ts${index}` }),
      origin: FROM_NO_FILE,
      local: selectorFromPrefix(selectorLan(office, index, count, number)),
      remote: selectorFromPrefix(selectorLan(remote, index, count, number)),
    })),
    establishTunnels: office === 'main' ? parameters.establishMain : parameters.establishBranch,
    mode: 'tunnel',
    dfBit: 'clear',
    copyOuterDscp: false,
    antiReplayWindow: REPLAY_WINDOW,
    installInterval: seconds(0),
    ...(tfcPadding === undefined ? {} : { tfcPadding }),
    ...(dummyInterval === undefined ? {} : { dummyInterval }),
  };
}

/** How an office calls the other end of the tunnel with a branch. */
function remoteName(office: Office, number: number): string {
  return office === 'main' ? branchName(number) : 'main';
}

function identity(office: Office, number: number): Identity {
  return { kind: 'fqdn', name: `${office === 'main' ? 'main' : branchName(number)}.example.net` };
}

/** The LAN of a selector: the whole one, or one /24 of it for each of several selectors. */
function selectorLan(office: Office, index: number, selectorCount: number, number: number): Prefix {
  const lan = lanNumber(office, number);
  return selectorCount === 1 ? prefix(`10.${lan}.0.0/16`) : prefix(`10.${lan}.${index}.0/24`);
}

/** The second octet of an office's LAN. */
function lanNumber(office: Office, number: number): number {
  return office === 'main' ? 1 : number + 1;
}

function prefix(text: string): Prefix {
  const parsed = parsePrefix(text);
  invariant(parsed !== undefined, `${text} is a prefix`);
  return parsed;
}
