/** What a test's SRX configuration says; the rest is the same in all. */
export interface SrxSettings {
  readonly mode?: 'main' | 'aggressive';
  readonly encryption: string;
  readonly hash: string;
  readonly group: string;
  readonly espEncryption: string;
  /** Absent for a cipher that authenticates too. */
  readonly espIntegrity?: string;
  readonly pfs?: string;
  readonly secret: string;
  readonly localAddress: string;
  readonly remoteAddress: string;
  readonly localLan: string;
  readonly remoteLan: string;
  /** Statements of Junos, such as `hostname ours.example`. */
  readonly localIdentity?: string;
  readonly remoteIdentity?: string;
  readonly ikeLifetime?: number;
  readonly ipsecLifetime?: number;
  readonly deadPeerDetection?: { readonly interval: number; readonly threshold: number };
  readonly establish?: 'on-traffic' | 'immediately';
  /** Pairs of local and remote networks, each a `traffic-selector`, in place of the proxy identity. */
  readonly trafficSelectors?: readonly { readonly name: string; readonly local: string; readonly remote: string }[];
  /** Security policies that permit a tunnel, each from our network to one of theirs, in place of a tunnel interface. */
  readonly securityPolicies?: readonly { readonly name: string; readonly local: string; readonly remote: string }[];
  /** More `set` lines, as they are. */
  readonly more?: readonly string[];
}

/** A VPN in `set` form: route-based, or, with security policies, policy-based. */
export function srxConfiguration(settings: SrxSettings): string {
  const { mode = 'main', deadPeerDetection, establish = 'on-traffic' } = settings;
  const selectors = settings.trafficSelectors?.map(
    ({ name, local, remote }) =>
      `set security ipsec vpn peer traffic-selector ${name} local-ip ${local} remote-ip ${remote}`,
  ) ?? [
    `set security ipsec vpn peer ike proxy-identity local ${settings.localLan}`,
    `set security ipsec vpn peer ike proxy-identity remote ${settings.remoteLan}`,
    'set security ipsec vpn peer ike proxy-identity service any',
  ];
  const { securityPolicies } = settings;
  return [
    `set interfaces ge-0/0/0 unit 0 family inet address ${settings.localAddress}/24`,
    ...(securityPolicies
      ? policyLines(securityPolicies)
      : [
          'set interfaces st0 unit 0 family inet',
          `set routing-options static route ${settings.remoteLan} next-hop st0.0`,
          'set security ipsec vpn peer bind-interface st0.0',
          ...selectors,
        ]),
    'set security ike proposal p1 authentication-method pre-shared-keys',
    `set security ike proposal p1 dh-group ${settings.group}`,
    `set security ike proposal p1 authentication-algorithm ${settings.hash}`,
    `set security ike proposal p1 encryption-algorithm ${settings.encryption}`,
    ...(settings.ikeLifetime ? [`set security ike proposal p1 lifetime-seconds ${settings.ikeLifetime}`] : []),
    `set security ike policy peer mode ${mode}`,
    'set security ike policy peer proposals p1',
    `set security ike policy peer pre-shared-key ascii-text "${settings.secret}"`,
    'set security ike gateway peer ike-policy peer',
    `set security ike gateway peer address ${settings.remoteAddress}`,
    'set security ike gateway peer external-interface ge-0/0/0.0',
    'set security ike gateway peer version v1-only',
    ...(settings.localIdentity ? [`set security ike gateway peer local-identity ${settings.localIdentity}`] : []),
    ...(settings.remoteIdentity ? [`set security ike gateway peer remote-identity ${settings.remoteIdentity}`] : []),
    ...(deadPeerDetection
      ? [
          'set security ike gateway peer dead-peer-detection always-send',
          `set security ike gateway peer dead-peer-detection interval ${deadPeerDetection.interval}`,
          `set security ike gateway peer dead-peer-detection threshold ${deadPeerDetection.threshold}`,
        ]
      : []),
    'set security ipsec proposal p2 protocol esp',
    `set security ipsec proposal p2 encryption-algorithm ${settings.espEncryption}`,
    ...(settings.espIntegrity
      ? [`set security ipsec proposal p2 authentication-algorithm ${settings.espIntegrity}`]
      : []),
    ...(settings.ipsecLifetime ? [`set security ipsec proposal p2 lifetime-seconds ${settings.ipsecLifetime}`] : []),
    'set security ipsec policy traffic proposals p2',
    ...(settings.pfs ? [`set security ipsec policy traffic perfect-forward-secrecy keys ${settings.pfs}`] : []),
    'set security ipsec vpn peer ike gateway peer',
    'set security ipsec vpn peer ike ipsec-policy traffic',
    `set security ipsec vpn peer establish-tunnels ${establish}`,
    ...(settings.more ?? []),
    '',
  ].join('\n');
}

function policyLines(policies: NonNullable<SrxSettings['securityPolicies']>): readonly string[] {
  const zones = [
    'set security zones security-zone untrust interfaces ge-0/0/0.0',
    'set security zones security-zone untrust host-inbound-traffic system-services ike',
    'set security zones security-zone trust interfaces ge-0/0/1.0',
  ];
  const each = policies.flatMap(({ name, local, remote }) => {
    const policy = `set security policies from-zone trust to-zone untrust policy ${name}`;
    return [
      `set security address-book global address ${name}-local ${local}`,
      `set security address-book global address ${name}-remote ${remote}`,
      `${policy} match source-address ${name}-local`,
      `${policy} match destination-address ${name}-remote`,
      `${policy} match application any`,
      `${policy} then permit tunnel ipsec-vpn peer`,
    ];
  });
  return [...zones, ...each];
}
