// The parts of `security` that VPNs refer to: zones, policies, address books, flow, NAT, PKI.

import { SECURITY_IKE } from './schema-ike.ts';
import { SECURITY_IPSEC } from './schema-ipsec.ts';
import {
  container,
  flag,
  INTERFACE,
  IPV4,
  leaf,
  leafList,
  list,
  number,
  open,
  PREFIX,
  reference,
  type SchemaNode,
  TEXT,
  text,
} from './schema-node.ts';
import { SECURITY_PKI } from './schema-pki.ts';

const NAME = text(63);
const DESCRIPTION = leaf('description', 'Words for people', text(900));
const NO_FIREWALL = 'there is no firewall here; only policies with `permit tunnel ipsec-vpn` matter';

const range = (name: string, help: string, value: typeof IPV4) =>
  list(
    name,
    help,
    value,
    [container('to', 'Its end', [], { layout: 'one-line', positional: { name: 'range-high', value } })],
    { layout: 'one-line', choice: 'content' },
  );

const ADDRESS_ENTRY = list(
  'address',
  'A name for addresses',
  NAME,
  [
    DESCRIPTION,
    list(
      'dns-name',
      'Host name',
      text(253),
      [
        flag('ipv4-only', 'Only its IPv4 addresses'),
        flag('ipv6-only', 'Only its IPv6 addresses'),
        leaf('dns-query-interval', 'Time between lookups', number(16, 86_400, 'seconds'), { default: '300' }),
      ],
      { layout: 'one-line', choice: 'content' },
    ),
    leaf('wildcard-address', 'Address with a mask of any shape', TEXT, { choice: 'content' }),
    range('range-address', 'First address of a range', IPV4),
    range('address-range', 'First address of a range', PREFIX),
  ],
  { layout: 'one-line', positional: { name: 'ip-prefix', value: PREFIX } },
);

const ADDRESS_SET = list('address-set', 'A name for several names', NAME, [
  DESCRIPTION,
  list('address', 'An address in it', NAME, [], { layout: 'one-line' }),
  list('address-set', 'An address set in it', NAME, [], { layout: 'one-line' }),
]);

const ADDRESS_BOOK = list('address-book', 'Names for addresses', NAME, [
  DESCRIPTION,
  ADDRESS_ENTRY,
  ADDRESS_SET,
  container('attach', 'Where the names are known', [
    list('zone', 'In this zone', reference(63, 'security', 'zones', 'security-zone'), [], { layout: 'one-line' }),
  ]),
]);

const service = (name: string, help: string) =>
  list(name, help, TEXT, [flag('except', 'All but this one')], { layout: 'wrapped' });

const INBOUND = () =>
  container('host-inbound-traffic', 'What the gateway itself answers', [
    service('system-services', 'Services'),
    service('protocols', 'Routing protocols'),
  ]);

const ZONE_INTERFACE = list('interfaces', 'Interfaces of the zone', INTERFACE, [INBOUND()], {
  layout: 'wrapped',
  isOpen: true,
});

const ZONES = container(
  'zones',
  'Groups of interfaces',
  [
    list(
      'security-zone',
      'A zone',
      NAME,
      [
        DESCRIPTION,
        INBOUND(),
        ZONE_INTERFACE,
        container('address-book', 'Names for addresses in this zone', [ADDRESS_ENTRY, ADDRESS_SET]),
        flag('tcp-rst', 'Refuse TCP aloud', { noEffect: NO_FIREWALL }),
        leaf('screen', 'Attack screen', TEXT, { noEffect: NO_FIREWALL }),
      ],
      { isOpen: true },
    ),
  ],
  { isOpen: true },
);

const MATCH = container(
  'match',
  'Which packets it is about',
  [
    leafList('source-address', 'Names of sources', NAME),
    leafList('destination-address', 'Names of destinations', NAME),
    leafList('application', 'Applications', TEXT),
  ],
  { isOpen: true },
);

const PERMIT = container(
  'permit',
  'Let it through',
  [
    container('tunnel', 'Through a VPN', [
      leaf('ipsec-vpn', 'The VPN', reference(63, 'security', 'ipsec', 'vpn')),
      leaf('pair-policy', 'The policy for the way back', NAME),
    ]),
  ],
  { isOpen: true },
);

const RULE = list(
  'policy',
  'One rule',
  NAME,
  [DESCRIPTION, MATCH, container('then', 'What happens', [PERMIT], { isOpen: true })],
  {
    isOpen: true,
  },
);

const POLICIES = container(
  'policies',
  'What may pass between zones',
  [
    list(
      'from-zone',
      'Traffic from this zone',
      NAME,
      [list('to-zone', 'to this zone', NAME, [RULE], { isOpen: true })],
      { layout: 'joined' },
    ),
    container('global', 'Between all zones', [RULE], { isOpen: true }),
    container(
      'default-policy',
      'What happens to the rest',
      [flag('permit-all', 'Let it through', { choice: 'default' }), flag('deny-all', 'Drop it', { choice: 'default' })],
      { noEffect: NO_FIREWALL },
    ),
  ],
  { isOpen: true },
);

const mss = (name: string, help: string, more: { noEffect?: string; default?: string } = {}) =>
  container(
    name,
    help,
    [leaf('mss', 'Octets', number(64, 65_535), more.default === undefined ? {} : { default: more.default })],
    more.noEffect === undefined ? {} : { noEffect: more.noEffect },
  );
const ONLY_VPN = 'only traffic of VPNs is touched; use `tcp-mss ipsec-vpn`';

const FLOW = container(
  'flow',
  'Handling of connections',
  [
    container('tcp-mss', 'Largest TCP segment', [
      mss('ipsec-vpn', 'Of traffic through VPNs', { default: '1320' }),
      mss('all-tcp', 'Of all traffic', { noEffect: ONLY_VPN }),
      mss('gre-in', 'Of traffic out of GRE', { noEffect: ONLY_VPN }),
      mss('gre-out', 'Of traffic into GRE', { noEffect: ONLY_VPN }),
    ]),
  ],
  { isOpen: true },
);

const NAT_MATCH = container(
  'match',
  'Which packets it is about',
  [leafList('source-address', 'Source networks', TEXT), leafList('destination-address', 'Destination networks', TEXT)],
  { isOpen: true },
);

const NAT_END = (name: string, help: string) =>
  container(name, help, [leafList('zone', 'Zones', NAME), leafList('interface', 'Interfaces', INTERFACE)], {
    layout: 'one-line',
    isOpen: true,
  });

const NAT = container(
  'nat',
  'Address translation',
  [
    container(
      'source',
      'Of sources',
      [
        list(
          'rule-set',
          'Rules between two places',
          NAME,
          [
            NAT_END('from', 'Where packets come from'),
            NAT_END('to', 'Where they go'),
            list('rule', 'One rule', NAME, [NAT_MATCH, open('then', 'What happens')], { isOpen: true }),
          ],
          { isOpen: true },
        ),
      ],
      { isOpen: true },
    ),
  ],
  { isOpen: true },
);

export const SECURITY: SchemaNode = container(
  'security',
  'VPNs and what belongs to them',
  [SECURITY_IKE, SECURITY_IPSEC, SECURITY_PKI, ADDRESS_BOOK, ZONES, POLICIES, FLOW, NAT],
  { isOpen: true },
);
