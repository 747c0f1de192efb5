// `security ipsec`: the union of what Junos 18.2 and 24.4 know. Names, ranges and defaults are facts of the language;
// the help is ours.

import { DH_GROUP_OPTIONS, ENCRYPTION_OPTIONS, PROPOSAL_SETS } from './schema-ike.ts';
import {
  ADDRESS,
  container,
  flag,
  HOST,
  INTERFACE,
  INTERFACE_UNIT,
  leaf,
  leafList,
  list,
  NAME,
  number,
  options,
  PREFIX_WITH_LENGTH,
  reference,
  type SchemaNode,
  TEXT,
  text,
} from './schema-node.ts';
import { tracing } from './schema-tracing.ts';

const MANUAL = 'SAs with keys typed in are not supported; use IKE';
const NO_CLUSTER = 'there is no cluster';

const PROTOCOLS = { ah: 'Authentication Header: nothing is hidden', esp: 'Encapsulating Security Payload' };

const AUTHENTICATION = {
  'hmac-md5-96': 'HMAC-MD5; weak',
  'hmac-sha1-96': 'HMAC-SHA-1',
  'hmac-sha-256-128': 'HMAC-SHA-256, 128 bits sent',
  'hmac-sha-256-96': 'HMAC-SHA-256, 96 bits sent; against the RFC, for old peers',
  'hmac-sha-384': 'HMAC-SHA-384',
  'hmac-sha-512': 'HMAC-SHA-512',
};

const ENCRYPTION = { ...ENCRYPTION_OPTIONS, 'aes-192-gcm': 'AES-GCM with a 192-bit key, which authenticates too' };

const PROPOSAL = list('proposal', 'Algorithms to offer and accept in phase 2', NAME, [
  flag('extended-sequence-number', '64-bit sequence numbers'),
  leaf('description', 'Words for people', text(80)),
  leaf('protocol', 'Protocol that carries packets; ESP if not said', options(PROTOCOLS)),
  leaf('authentication-algorithm', 'How packets are authenticated', options(AUTHENTICATION)),
  leaf('encryption-algorithm', 'How packets are encrypted', options(ENCRYPTION)),
  leaf('lifetime-seconds', 'How long an SA lives', number(180, 86_400, 'seconds'), { default: '3600' }),
  leaf('lifetime-kilobytes', 'How much an SA carries', number(64, 4_294_967_294, 'kilobytes')),
]);

const POLICY = list('policy', 'How phase 2 is done by the VPNs that refer to it', NAME, [
  leaf('description', 'Words for people', text(80)),
  container('perfect-forward-secrecy', 'A fresh Diffie-Hellman exchange for each SA', [
    leaf('keys', 'Its group', options(DH_GROUP_OPTIONS)),
  ]),
  leafList('proposals', 'Proposals in order of preference', reference(32, 'security', 'ipsec', 'proposal'), {
    choice: 'proposals',
  }),
  leaf('proposal-set', 'A predefined list of proposals', options(PROPOSAL_SETS), { choice: 'proposals' }),
]);

const VPN_MONITOR = container(
  'vpn-monitor',
  'Probe the tunnel with ICMP echo',
  [
    flag('optimized', 'Not while traffic comes in'),
    leaf('source-interface', 'Interface whose address is the source', INTERFACE_UNIT),
    leaf('destination-ip', 'Address to probe', ADDRESS),
    container('verify-path', 'Probe with large packets before the tunnel counts as up', [
      leaf('destination-ip', 'Address to probe', ADDRESS),
      leaf('packet-size', 'Octets of the probe', number(64, 1350), { default: '64' }),
    ]),
  ],
  { noEffect: 'probes of the peer are answered, none are sent; use dead-peer-detection' },
);

const typedKey = (name: string, help: string, algorithms: Readonly<Record<string, string>>) =>
  container(name, help, [
    leaf('algorithm', 'Algorithm', options(algorithms)),
    container(
      'key',
      'Key',
      [
        leaf('ascii-text', 'As text', text(255), { choice: 'key', isSecret: true }),
        leaf('hexadecimal', 'As hexadecimal digits', text(255), { choice: 'key', isSecret: true }),
      ],
      { layout: 'one-line' },
    ),
  ]);

const MANUAL_SA = container(
  'manual',
  'Keys typed in instead of negotiated',
  [
    leaf('gateway', 'Peer', HOST),
    leaf('external-interface', 'Interface that faces it', INTERFACE),
    leaf('protocol', 'Protocol', options(PROTOCOLS)),
    leaf('spi', 'Security parameter index', number(256, 16_639)),
    typedKey('authentication', 'Authentication', AUTHENTICATION),
    typedKey('encryption', 'Encryption', ENCRYPTION),
  ],
  { choice: 'negotiation', notSupported: MANUAL },
);

const WINDOW = () =>
  leaf('anti-replay-window-size', 'Packets that may overtake each other', number(64, 8192), { default: '64' });

const IKE = container(
  'ike',
  'Keys negotiated with IKE',
  [
    leaf('gateway', 'The peer', reference(32, 'security', 'ike', 'gateway'), { isMandatory: true }),
    leaf('idle-time', 'Idle time that ends an SA', number(60, 999_999, 'seconds')),
    WINDOW(),
    flag('no-anti-replay', 'Accept a packet twice'),
    container('proxy-identity', 'What the SA carries, as told to the peer', [
      leaf('local', 'Networks on this side', PREFIX_WITH_LENGTH),
      leaf('remote', 'Networks on the side of the peer', PREFIX_WITH_LENGTH),
      leaf('service', 'Application', text(32)),
    ]),
    leaf('ipsec-policy', 'How to do phase 2', reference(32, 'security', 'ipsec', 'policy'), { isMandatory: true }),
    leaf('install-interval', 'Wait before the new SA is used after a rekey', number(0, 10, 'seconds'), {
      default: '1',
    }),
  ],
  { choice: 'negotiation' },
);

const SELECTOR: readonly SchemaNode[] = [
  leaf('local-ip', 'Networks on this side', PREFIX_WITH_LENGTH),
  leaf('remote-ip', 'Networks on the side of the peer', PREFIX_WITH_LENGTH),
  leaf('protocol', 'IP protocol, by name or number', TEXT),
  leaf('source-port', 'Ports on this side, one or first-last', TEXT),
  leaf('destination-port', 'Ports on the side of the peer, one or first-last', TEXT),
];

const TRAFFIC_SELECTOR = list(
  'traffic-selector',
  'What one SA pair of this VPN carries',
  text(31),
  [
    list('term', 'Several selectors for one SA pair', text(63), SELECTOR, {
      maxEntries: 200,
      notSupported: 'IKEv1 carries one selector in an SA; make each term a traffic-selector of its own',
    }),
    ...SELECTOR,
    leaf('metric', 'Metric of the route to the peer', number(1, 4_294_967_295), { default: '5' }),
    leaf('preference', 'Preference of the route to the peer', number(1, 4_294_967_295), { default: '5' }),
    leaf('description', 'Words for people', text(80)),
  ],
  { maxEntries: 200 },
);

/** Junos stores what stands in an `apply-macro` and ignores it: so an SRX takes the same configuration. */
const MACRO = list(
  'apply-macro',
  'What Junos keeps and ignores; under the name `sallyport` settings that Junos has no statement for',
  text(255),
  [
    leaf(
      'tfc-padding',
      'Make every packet look at least this long inside, as far as the path carries it (RFC 4303 §2.7); for peers known to take it off',
      number(1, 65_535, 'octets'),
    ),
    leaf(
      'dummy-interval',
      'Send a dummy packet whenever nothing else has been sent for so long (RFC 4303 §2.6); for peers known to drop it',
      number(1, 86_400, 'seconds'),
    ),
  ],
  { isOpen: true },
);

const VPN = list('vpn', 'A VPN: a peer, algorithms and what goes through', NAME, [
  flag('ha-link-encryption', 'Protects the link of a cluster', { noEffect: NO_CLUSTER }),
  leaf('bind-interface', 'Tunnel interface; without one, security policies decide what goes through', INTERFACE),
  leaf(
    'df-bit',
    "Don't-fragment bit of the outer packet",
    options({ clear: 'Never set', set: 'Always set', copy: 'As in the inner packet' }),
    { default: 'clear' },
  ),
  container(
    'multi-sa',
    'Several SAs for one selector',
    [list('forwarding-class', 'An SA for this class', NAME, [], { layout: 'one-line' })],
    { noEffect: 'all classes share one SA' },
  ),
  flag('copy-outer-dscp', 'Copy DSCP and ECN of the outer packet inward'),
  VPN_MONITOR,
  MANUAL_SA,
  IKE,
  TRAFFIC_SELECTOR,
  leaf(
    'establish-tunnels',
    'When the tunnel is made',
    options({
      immediately: 'At once, and again whenever it goes',
      'on-traffic': 'When a packet wants through',
      'responder-only': 'When the peer asks',
      'responder-only-no-rekey': 'When the peer asks, which also does the rekeying',
    }),
    { default: 'on-traffic' },
  ),
  leaf('distribution-profile', 'Which processor carries the tunnel', TEXT, { noEffect: 'there is one processor' }),
  flag('no-icmp-packet-too-big', 'Do not tell IPv6 senders that a packet is too big', {
    noEffect: 'senders are always told, since IPv6 does not work without',
  }),
  flag('passive-mode-tunneling', 'Do not look at packets before encryption', {
    noEffect: 'selectors are always checked (RFC 4301)',
  }),
  container(
    'udp-encapsulate',
    'Carry ESP in UDP on another port',
    [leaf('dest-port', 'Port of the peer', number(1025, 65_535), { default: '4565' })],
    { notSupported: 'only UDP port 4500 carries ESP, and only through NAT' },
  ),
  MACRO,
]);

const SECURITY_ASSOCIATION = list(
  'security-association',
  'SA with typed keys for routing protocols',
  NAME,
  [
    leaf('description', 'Words for people', text(80)),
    leaf('mode', 'Mode', options({ transport: 'Transport mode' }), { default: 'transport' }),
    container('manual', 'Keys typed in', [
      list('direction', 'Direction', options({ bidirectional: 'Both ways' }), [
        leaf('protocol', 'Protocol', options(PROTOCOLS)),
        leaf('spi', 'Security parameter index', number(256, 16_639)),
        typedKey('authentication', 'Authentication', { ...AUTHENTICATION, 'hmac-sha-256': 'HMAC-SHA-256' }),
        typedKey('encryption', 'Encryption', ENCRYPTION),
      ]),
    ]),
  ],
  { noEffect: 'there are no routing protocols' },
);

const INTERNAL = container(
  'internal',
  'SA between the nodes of a cluster',
  [
    container('security-association', 'The SA', [
      container('manual', 'Keys typed in', [
        container('encryption', 'Encryption', [
          leaf('algorithm', 'Algorithm', options({ '3des-cbc': 'Triple DES', 'aes-128-cbc': 'AES-CBC, 128 bits' })),
          leaf('ike-ha-link-encryption', 'Encrypt the link of the cluster', options({ enable: 'Do' })),
          container('key', 'Key', [leaf('ascii-text', 'As text', TEXT, { isSecret: true })], { layout: 'one-line' }),
        ]),
      ]),
    ]),
  ],
  { noEffect: NO_CLUSTER },
);

const TRACE_FLAGS = {
  'packet-processing': 'Packets',
  'packet-drops': 'Dropped packets',
  'security-associations': 'SAs',
  'next-hop-tunnel-binding': 'Next hops of multipoint tunnels',
  all: 'Everything',
};

export const SECURITY_IPSEC: SchemaNode = container('ipsec', 'What protects packets: phase 2 and tunnels', [
  INTERNAL,
  tracing('Tracing of protected traffic', TRACE_FLAGS),
  container(
    'vpn-monitor-options',
    'How vpn-monitor probes',
    [
      leaf('interval', 'Time between probes', number(2, 3600, 'seconds'), { default: '10' }),
      leaf('threshold', 'Unanswered probes until the tunnel counts as down', number(1, 65_536), { default: '10' }),
    ],
    { noEffect: 'probes are not sent' },
  ),
  PROPOSAL,
  POLICY,
  VPN,
  SECURITY_ASSOCIATION,
  WINDOW(),
]);
