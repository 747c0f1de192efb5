import type { Secret } from '../lib/secret.ts';
import type { Seconds } from '../lib/time.ts';
import type { IpAddress, Prefix } from './address.ts';
import type {
  AuthenticationMethod,
  DhGroup,
  EncryptionAlgorithm,
  HashAlgorithm,
  IntegrityAlgorithm,
} from './algorithms.ts';
import type { Identity } from './identity.ts';
import type { DfBit, IpsecMode, IpsecProtocol } from './ipsec-sa.ts';
import type { TrafficSelector } from './traffic-selector.ts';

/** Where in the operator's configuration something was said, so that any layer can name it without knowing the language. */
export interface Origin {
  /** Junos path, such as `security ike gateway hq address`. */
  readonly path: string;
  /** Line in the file, from 1; 0 if it came from no file (a predefined set, a default). */
  readonly line: number;
}

/** What the configuration language compiles to. Immutable; the gateway is given a whole new one at each commit. */
export interface GatewayConfig {
  readonly hostName?: string;
  readonly gateways: readonly IkeGatewayConfig[];
  readonly vpns: readonly VpnConfig[];
  readonly tunnelInterfaces: readonly TunnelInterfaceConfig[];
  /** Static routes into tunnel interfaces only; the host's other routes are never ours. */
  readonly routes: readonly TunnelRouteConfig[];
  /** `security flow tcp-mss ipsec-vpn`, in octets. */
  readonly tcpMss?: number;
  /** `security ike respond-bad-spi`: how many times at most to tell a peer of an SPI that we do not know; absent means never. */
  readonly respondBadSpi?: number;
  /** `security ike session half-open`: exchanges with unverified peers at a time. */
  readonly halfOpenMax?: number;
}

export interface IkeGatewayConfig {
  readonly name: string;
  readonly origin: Origin;
  readonly version: 'v1-only' | 'v2-only';
  readonly policy: IkePolicyConfig;
  /** Primary peer first, then its backups; empty for a dynamic peer, which is known by `remoteIdentity` alone. */
  readonly remoteAddresses: readonly IpAddress[];
  /** Peers given by name; the host resolves them before it applies the configuration. */
  readonly remoteHostNames: readonly string[];
  readonly isDynamic: boolean;
  /** Logical interface, such as `ge-0/0/0.0`. */
  readonly externalInterface: string;
  /** From `local-address` or from the external interface; absent if the host has to find it. */
  readonly localAddress?: IpAddress;
  readonly localIdentity?: Identity;
  /** Absent: the peer's address is expected, unless `acceptsAnyIdentity`. */
  readonly remoteIdentity?: Identity;
  readonly acceptsAnyIdentity: boolean;
  readonly natTraversal: boolean;
  readonly natKeepalive: Seconds;
  readonly deadPeerDetection?: DeadPeerDetectionConfig;
  readonly xauth?: XauthConfig;
  /** IKE fragmentation: octets of the largest fragment; absent means off. */
  readonly fragmentSize?: number;
}

export interface DeadPeerDetectionConfig {
  readonly mode: 'optimized' | 'probe-idle-tunnel' | 'always-send';
  readonly interval: Seconds;
  readonly threshold: number;
}

/** XAUTH and Mode Config (no RFC): we either ask for credentials or give them. */
export type XauthConfig =
  | {
      readonly role: 'server';
      readonly users: readonly XauthUser[];
      readonly pool?: XauthPool;
      readonly origin: Origin;
    }
  | { readonly role: 'client'; readonly username: string; readonly password: Secret; readonly origin: Origin };

export interface XauthUser {
  readonly name: string;
  readonly password: Secret;
  readonly address?: IpAddress;
}

export interface XauthPool {
  readonly network: Prefix;
  readonly first: IpAddress;
  readonly last: IpAddress;
  readonly dnsServers: readonly IpAddress[];
  readonly winsServers: readonly IpAddress[];
  readonly splitInclude: readonly Prefix[];
}

export interface IkePolicyConfig {
  readonly name: string;
  readonly origin: Origin;
  readonly mode: 'main' | 'aggressive';
  /** In order of preference. */
  readonly proposals: readonly IkeProposalConfig[];
  readonly preSharedKey?: Secret;
}

export interface IkeProposalConfig {
  readonly name: string;
  readonly origin: Origin;
  readonly authenticationMethod: AuthenticationMethod;
  readonly encryption: EncryptionAlgorithm;
  readonly hash: HashAlgorithm;
  readonly dhGroup: DhGroup;
  readonly lifetime: Seconds;
}

export interface VpnConfig {
  readonly name: string;
  readonly origin: Origin;
  /** Name of its entry in `gateways`. */
  readonly gateway: string;
  /** `st0.N`; absent for a policy-based VPN. */
  readonly bindInterface?: string;
  /** In order of preference. */
  readonly proposals: readonly IpsecProposalConfig[];
  readonly ipsecPolicyOrigin: Origin;
  readonly pfsGroup?: DhGroup;
  /** One entry from `proxy-identity` (or the default 0/0 pair) with no name, or one for each `traffic-selector`. Never empty. */
  readonly selectors: readonly VpnSelectorConfig[];
  readonly establishTunnels: 'immediately' | 'on-traffic' | 'responder-only' | 'responder-only-no-rekey';
  readonly mode: IpsecMode;
  readonly dfBit: DfBit;
  readonly copyOuterDscp: boolean;
  /** Packets; 0 when `no-anti-replay`. */
  readonly antiReplayWindow: number;
  readonly idleTime?: Seconds;
  readonly installInterval: Seconds;
  /** Octets; absent: packets are not padded to conceal their length. */
  readonly tfcPadding?: number;
  /** Absent: no dummy packets. */
  readonly dummyInterval?: Seconds;
}

export interface VpnSelectorConfig {
  /** Name of the `traffic-selector`; absent for the proxy identity. */
  readonly name?: string;
  readonly origin: Origin;
  /** Where the security policy that says so stands among all that name a VPN; absent for other selectors. */
  readonly position?: number;
  readonly local: TrafficSelector;
  readonly remote: TrafficSelector;
}

export interface IpsecProposalConfig {
  readonly name: string;
  readonly origin: Origin;
  readonly protocol: IpsecProtocol;
  /** `null` for AH and for authentication without encryption. */
  readonly encryption: EncryptionAlgorithm;
  readonly integrity: IntegrityAlgorithm;
  readonly lifetime: Seconds;
  readonly lifetimeKilobytes?: number;
  readonly extendedSequenceNumbers: boolean;
}

export interface TunnelInterfaceConfig {
  /** Junos unit name, `st0.0`; the Linux interface has the same name. */
  readonly name: string;
  readonly origin: Origin;
  readonly addresses: readonly Prefix[];
  readonly mtu: number;
}

export interface TunnelRouteConfig {
  readonly prefix: Prefix;
  readonly tunnelInterface: string;
  readonly metric: number;
  readonly origin: Origin;
}
