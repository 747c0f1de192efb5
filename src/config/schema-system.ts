// `system` and `access`: the little of them that concerns VPNs.

import {
  ADDRESS,
  container,
  IPV4,
  leaf,
  leafList,
  list,
  options,
  PREFIX_WITH_LENGTH,
  reference,
  type SchemaNode,
  TEXT,
  text,
} from './schema-node.ts';

const SYSLOG = 'the log goes to the standard output and to `show log`';

export const SYSTEM: SchemaNode = container(
  'system',
  'The device itself',
  [
    leaf('host-name', 'Name of this gateway', text(255)),
    container(
      'syslog',
      'Where log messages go',
      [
        list('file', 'A file', TEXT, [leaf('match', 'Only lines that match', TEXT)], {
          isOpen: true,
          noEffect: SYSLOG,
        }),
        list('host', 'Another machine', TEXT, [leaf('match', 'Only lines that match', TEXT)], {
          isOpen: true,
          noEffect: SYSLOG,
        }),
      ],
      { isOpen: true },
    ),
  ],
  { isOpen: true },
);

const FIREWALL_USER = container('firewall-user', 'How the user proves who it is', [
  leaf('password', 'Password', text(128), { isSecret: true }),
]);

const PROFILE = list(
  'profile',
  'Users',
  text(255),
  [
    leafList(
      'authentication-order',
      'Where users are looked up',
      options({
        password: 'Here',
        radius: 'In a RADIUS server',
        ldap: 'In a directory',
        none: 'Nowhere',
        securid: 'In SecurID',
      }),
    ),
    list(
      'client',
      'A user',
      text(64),
      [
        FIREWALL_USER,
        leafList('client-group', 'Groups it belongs to', TEXT, { noEffect: 'users have no groups here' }),
        container('xauth', 'Fixed answer', [leaf('ip-address', 'Address of this user', PREFIX_WITH_LENGTH)], {
          isOpen: true,
        }),
      ],
      { isOpen: true },
    ),
    container(
      'address-assignment',
      'Addresses for users',
      [leaf('pool', 'Where they come from', reference(63, 'access', 'address-assignment', 'pool'))],
      { isOpen: true },
    ),
  ],
  { isOpen: true },
);

const XAUTH_ATTRIBUTES = container('xauth-attributes', 'What users are told', [
  leaf('primary-dns', 'Name server', PREFIX_WITH_LENGTH),
  leaf('secondary-dns', 'Second name server', PREFIX_WITH_LENGTH),
  leaf('primary-wins', 'WINS server', PREFIX_WITH_LENGTH),
  leaf('secondary-wins', 'Second WINS server', PREFIX_WITH_LENGTH),
]);

const POOL_FAMILY = container(
  'family',
  'Addresses by protocol',
  [
    container(
      'inet',
      'IPv4',
      [
        leaf('network', 'Network that the addresses are in', PREFIX_WITH_LENGTH),
        list(
          'range',
          'Part of it',
          text(63),
          [leaf('low', 'First address', IPV4), leaf('high', 'Last address', IPV4)],
          { isOpen: true },
        ),
        XAUTH_ATTRIBUTES,
        list('host', 'A fixed address', TEXT, [leaf('ip-address', 'The address', ADDRESS)], { isOpen: true }),
      ],
      { isOpen: true },
    ),
  ],
  { layout: 'joined', isOpen: true },
);

export const ACCESS: SchemaNode = container(
  'access',
  'Users that dial in',
  [
    PROFILE,
    container(
      'address-assignment',
      'Addresses for users',
      [list('pool', 'A pool', text(63), [POOL_FAMILY], { isOpen: true })],
      { isOpen: true },
    ),
    container(
      'firewall-authentication',
      'Users of the firewall',
      [container('web-authentication', 'On a web page', [leaf('default-profile', 'Users', TEXT)], { isOpen: true })],
      { isOpen: true, noEffect: 'there is no web authentication' },
    ),
  ],
  { isOpen: true },
);
