// `security ike`: the union of what Junos 18.2 and 24.4 know. Names, ranges and defaults are facts of the language;
// the help is ours.

import { BLOCKLISTS, SESSION } from './schema-ike-admission.ts';
import {
  ADDRESS,
  container,
  flag,
  HOST,
  INTERFACE,
  IPV4,
  IPV6,
  leaf,
  leafList,
  list,
  NAME,
  number,
  options,
  reference,
  type SchemaNode,
  TEXT,
  text,
} from './schema-node.ts';
import { tracing } from './schema-tracing.ts';

const IKEV2_ONLY = 'it belongs to IKEv2, which is not spoken yet';
const CERTIFICATES = 'authentication by certificates is not supported yet';

export const DH_GROUP_OPTIONS: Readonly<Record<string, string>> = {
  group1: '768-bit MODP; broken',
  group2: '1024-bit MODP; weak',
  group5: '1536-bit MODP; weak',
  group14: '2048-bit MODP',
  group15: '3072-bit MODP',
  group16: '4096-bit MODP',
  group19: '256-bit elliptic curve',
  group20: '384-bit elliptic curve',
  group21: '521-bit elliptic curve',
  group24: '2048-bit MODP with a 256-bit subgroup; of doubtful origin',
};

export const ENCRYPTION_OPTIONS: Readonly<Record<string, string>> = {
  'des-cbc': 'DES; broken',
  '3des-cbc': 'Triple DES; slow and weak',
  'aes-128-cbc': 'AES with a 128-bit key in CBC mode',
  'aes-192-cbc': 'AES with a 192-bit key in CBC mode',
  'aes-256-cbc': 'AES with a 256-bit key in CBC mode',
  'aes-128-gcm': 'AES-GCM with a 128-bit key, which authenticates too',
  'aes-256-gcm': 'AES-GCM with a 256-bit key, which authenticates too',
  'chacha20-poly1305': 'ChaCha20 with Poly1305, which authenticates too',
};

const AUTHENTICATION_METHODS = {
  'pre-shared-keys': 'A secret that both sides know',
  'rsa-signatures': 'RSA certificates',
  'dsa-signatures': 'DSA certificates',
  'ecdsa-signatures-256': 'ECDSA certificates on the 256-bit curve',
  'ecdsa-signatures-384': 'ECDSA certificates on the 384-bit curve',
  'ecdsa-signatures-521': 'ECDSA certificates on the 521-bit curve',
  certificates: 'Certificates of any kind; IKEv2 only',
  'digital-signature': 'Signatures with a negotiated hash; IKEv2 only',
};

const HASHES = {
  md5: 'MD5; weak',
  sha1: 'SHA-1',
  'sha-256': 'SHA-2 with 256 bits',
  'sha-384': 'SHA-2 with 384 bits',
  'sha-512': 'SHA-2 with 512 bits',
};

export const PROPOSAL_SETS = {
  basic: 'DES with group 1: for tests only',
  compatible: 'Triple DES and DES with group 2',
  standard: 'Triple DES and AES-128 with group 2',
  'suiteb-gcm-128': 'Suite B with 128-bit keys and certificates',
  'suiteb-gcm-256': 'Suite B with 256-bit keys and certificates',
  'prime-128': 'AES-GCM with 128-bit keys and certificates',
  'prime-256': 'AES-GCM with 256-bit keys and certificates',
};

const PROPOSAL = list('proposal', 'Algorithms to offer and accept in phase 1', NAME, [
  leaf('description', 'Words for people', text(80)),
  leaf('authentication-method', 'How the peers prove who they are', options(AUTHENTICATION_METHODS)),
  leaf('dh-group', 'Diffie-Hellman group of phase 1', options(DH_GROUP_OPTIONS)),
  leaf('authentication-algorithm', 'Hash of phase 1, also used to derive keys', options(HASHES)),
  leaf('encryption-algorithm', 'Cipher of phase 1', options(ENCRYPTION_OPTIONS)),
  leaf('lifetime-seconds', 'How long an IKE SA lives', number(180, 86_400, 'seconds'), { default: '28800' }),
  leafList(
    'signature-hash-algorithm',
    'Hashes for digital signatures',
    options({ sha1: 'SHA-1', sha256: 'SHA-2, 256 bits', sha384: 'SHA-2, 384 bits', sha512: 'SHA-2, 512 bits' }),
    { noEffect: IKEV2_ONLY },
  ),
]);

const key = (name: string, help: string, more: { noEffect?: string } = {}) =>
  container(
    name,
    help,
    [
      leaf('ascii-text', 'The key as text', text(255), { choice: 'key', isSecret: true }),
      leaf('hexadecimal', 'The key as hexadecimal digits', text(255), { choice: 'key', isSecret: true }),
    ],
    { layout: 'one-line', ...more },
  );

const POLICY = list('policy', 'How phase 1 is done with the gateways that refer to it', NAME, [
  leaf(
    'mode',
    'Exchange of phase 1',
    options({ main: 'Six messages, identities hidden', aggressive: 'Three messages' }),
    {
      default: 'main',
    },
  ),
  leaf('reauth-frequency', 'Authenticate anew every so many rekeys', number(0, 100), {
    default: '0',
    noEffect: IKEV2_ONLY,
  }),
  leaf('description', 'Words for people', text(80)),
  leafList('proposals', 'Proposals in order of preference', reference(32, 'security', 'ike', 'proposal'), {
    choice: 'proposals',
  }),
  leaf('blocklist', 'Peers to refuse by identity', reference(32, 'security', 'ike', 'blocklists', 'blocklist'), {
    noEffect: 'peers are not refused by identity yet',
  }),
  container(
    'certificate',
    'Certificates of this side and what to expect of the peer',
    [
      leaf('local-certificate', 'Our certificate', TEXT),
      container('trusted-ca', 'Authorities whose certificates count', [
        leaf('ca-index', 'Authority by number', number(0, 4_294_967_295), { choice: 'ca' }),
        flag('use-all', 'Every configured authority', { choice: 'ca' }),
        leaf('ca-profile', 'Authority by profile', TEXT, { choice: 'ca' }),
        leaf('trusted-ca-group', 'Authorities by group', TEXT, { choice: 'ca' }),
      ]),
      leaf(
        'peer-certificate-type',
        'Encoding in which to ask for the certificate of the peer',
        options({ pkcs7: 'PKCS #7', 'x509-signature': 'X.509' }),
        { default: 'x509-signature' },
      ),
      leafList('policy-oids', 'Certificate policies to insist on', text(63), { maxEntries: 5 }),
    ],
    { noEffect: CERTIFICATES },
  ),
  leaf('proposal-set', 'A predefined list of proposals', options(PROPOSAL_SETS), { choice: 'proposals' }),
  key('pre-shared-key', 'The secret that both sides know'),
  key('seeded-pre-shared-key', 'Secret from which one for each peer is made', {
    noEffect: 'keys for each peer are not derived yet',
  }),
]);

const distinguishedName = (more: { choice: string }) =>
  container(
    'distinguished-name',
    'Distinguished name in the certificate of the peer',
    [
      leaf('container', 'Fields that must be there in this order', TEXT),
      leaf('wildcard', 'Fields that must be there in any order', TEXT),
    ],
    { ...more, layout: 'one-line', notSupported: CERTIFICATES },
  );

const identity = (name: string, help: string, dn: SchemaNode) =>
  container(
    name,
    help,
    [
      leaf('inet', 'IPv4 address', IPV4, { choice: 'identity', valueElement: 'identity-ipv4' }),
      leaf('inet6', 'IPv6 address', IPV6, { choice: 'identity', valueElement: 'identity-ipv6' }),
      leaf('hostname', 'Fully qualified domain name', TEXT, { choice: 'identity', valueElement: 'identity-hostname' }),
      leaf('user-at-hostname', 'E-mail address', TEXT, { choice: 'identity', valueElement: 'identity-user' }),
      dn,
      leaf('key-id', 'Opaque key identifier as text', text(127), { choice: 'identity', valueElement: 'string-key-id' }),
    ],
    { layout: 'one-line' },
  );

const DYNAMIC = container(
  'dynamic',
  'The peer has no fixed address and is known by its identity',
  [
    distinguishedName({ choice: 'identity' }),
    flag('general-ikeid', 'Take any identity', { choice: 'identity' }),
    leaf('hostname', 'Domain name as identity', TEXT, { choice: 'identity' }),
    leaf('inet', 'IPv4 address as identity', IPV4, { choice: 'identity' }),
    leaf('inet6', 'IPv6 address as identity', IPV6, { choice: 'identity' }),
    leaf('user-at-hostname', 'E-mail address as identity', TEXT, { choice: 'identity' }),
    leaf('connections-limit', 'Most peers at a time', number(0, 4_294_967_295), {
      noEffect: 'the number of peers is not limited',
    }),
    leaf(
      'ike-user-type',
      'How an identity stands for many users',
      options({ 'group-ike-id': 'A common part of many identities', 'shared-ike-id': 'One identity for all' }),
    ),
    flag('reject-duplicate-connection', 'Keep the old connection when its identity comes again', {
      noEffect: 'a new connection always replaces the old one',
    }),
  ],
  { choice: 'peer' },
);

const DEAD_PEER_DETECTION = container('dead-peer-detection', 'Ask a silent peer whether it is still there', [
  flag('optimized', 'Ask only while we send and hear nothing', { choice: 'mode' }),
  flag('probe-idle-tunnel', 'Ask also while neither side sends', { choice: 'mode' }),
  flag('always-send', 'Ask at every interval', { choice: 'mode' }),
  leaf('interval', 'Time between questions', number(2, 60, 'seconds'), { default: '10' }),
  leaf('threshold', 'Unanswered questions until the peer counts as dead', number(1, 5), { default: '5' }),
]);

const credentials = (help: string) =>
  container('client', help, [
    leaf('username', 'User name', text(128)),
    leaf('password', 'Password', text(128), { isSecret: true }),
  ]);

const GATEWAY_AUTHENTICATION: readonly SchemaNode[] = [
  container(
    'aaa',
    'User authentication under IKEv2',
    [
      list(
        'access-profile',
        'Access profile',
        TEXT,
        [leaf('config-payload-password', 'Common password', text(128), { isSecret: true })],
        { layout: 'one-line' },
      ),
      flag('use-routing-instance-address', 'Take addresses from the routing instance'),
      credentials('Credentials that we give'),
      flag('no-push-to-identity-management', 'Keep connections to ourselves'),
    ],
    { noEffect: IKEV2_ONLY },
  ),
  container('xauth', 'User name and password after phase 1', [
    leaf('access-profile', 'Users that we ask for credentials', text(255)),
    credentials('Credentials that we give'),
  ]),
];

const GATEWAY_REST: readonly SchemaNode[] = [
  container(
    'advpn',
    'Shortcuts between branches',
    [
      container('suggester', 'Suggest shortcuts', [flag('disable', 'Do not')]),
      container('partner', 'Take part in shortcuts', [
        leaf('connection-limit', 'Most shortcuts', number(0, 4_294_967_295)),
        leaf('idle-time', 'Idle time that ends one', number(60, 86_400, 'seconds'), { default: '300' }),
        leaf('idle-threshold', 'Packets a second that count as idle', number(3, 5000), { default: '5' }),
        flag('disable', 'Do not'),
      ]),
    ],
    { noEffect: 'shortcuts between branches are not made; traffic goes through the hub' },
  ),
  leaf('version', 'IKE version', options({ 'v1-only': 'IKEv1', 'v2-only': 'IKEv2' }), { default: 'v1-only' }),
  container('fragmentation', 'Split long IKE messages', [
    flag('disable', 'Never split'),
    leaf('size', 'Octets of the largest fragment', number(570, 1320)),
  ]),
  leaf('tcp-encap-profile', 'IKE and ESP over TCP', TEXT, { noEffect: 'nothing is carried over TCP' }),
  container('ppk-profile', 'Post-quantum preshared key', [flag('optional', 'Go on without it if the peer has none')], {
    noEffect: IKEV2_ONLY,
    layout: 'one-line',
    positional: { name: 'profile-name', value: text(32) },
  }),
];

const GATEWAY = list('gateway', 'A peer', NAME, [
  leaf('ike-policy', 'How to do phase 1 with it', reference(32, 'security', 'ike', 'policy'), { isMandatory: true }),
  leafList('address', 'Address of the peer, then of its backups', HOST, { choice: 'peer', maxEntries: 5 }),
  DYNAMIC,
  DEAD_PEER_DETECTION,
  flag('node-local', 'Not shared with the other node of a cluster', { noEffect: 'there is no cluster' }),
  flag('no-nat-traversal', 'Never encapsulate in UDP'),
  leaf('nat-keepalive', 'Time between keepalives through NAT', number(1, 300, 'seconds'), { default: '20' }),
  identity(
    'local-identity',
    'Who we say we are; our address if not said',
    flag('distinguished-name', 'The subject of our certificate', { choice: 'identity', notSupported: CERTIFICATES }),
  ),
  identity(
    'remote-identity',
    'Who the peer must be; its address if not said',
    distinguishedName({ choice: 'identity' }),
  ),
  leaf('external-interface', 'Interface that faces the peer; unit 0 if none is said', INTERFACE, { isMandatory: true }),
  leaf('local-address', 'Our address; the first of the external interface if not said', ADDRESS),
  ...GATEWAY_AUTHENTICATION,
  flag('general-ikeid', 'Accept any identity that knows the key'),
  ...GATEWAY_REST,
]);

const TRACE_FLAGS = {
  timer: 'Timers',
  'routing-socket': 'Messages from the routing socket',
  parse: 'Reading the configuration',
  config: 'Taking over the configuration',
  ike: 'Exchanges',
  'policy-manager': 'Policy decisions',
  general: 'Whatever else happens',
  database: 'The SA database',
  certificates: 'Certificates',
  snmp: 'SNMP',
  thread: 'Threads',
  'high-availability': 'High availability',
  'next-hop-tunnels': 'Next-hop tunnels',
  all: 'Everything',
};

export const SECURITY_IKE: SchemaNode = container('ike', 'Negotiation with peers: phase 1', [
  tracing('Tracing of key management', TRACE_FLAGS, [
    leaf('rate-limit', 'Most messages a second', number(0, 4_294_967_295), { default: '0' }),
    leaf('level', 'How much to write', TEXT),
    container('filter', 'Limit tracing', [
      leaf('fpc', 'Slot', number(0, 4_294_967_295)),
      leaf('pic', 'Slot', number(0, 4_294_967_295)),
    ]),
  ]),
  container(
    'trap',
    'SNMP traps',
    [flag('ipsec-tunnel-down', 'When an IPsec SA goes'), flag('peer-down', 'When a peer goes')],
    { noEffect: 'there is no SNMP' },
  ),
  SESSION,
  BLOCKLISTS,
  container('respond-bad-spi', 'Tell a peer that uses an SPI we do not know', [
    leaf('max-responses', 'How many times at most', number(1, 30), { default: '5' }),
  ]),
  PROPOSAL,
  POLICY,
  GATEWAY,
]);
