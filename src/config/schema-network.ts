// Interfaces and routes: only what a VPN refers to. Hierarchies are open where Junos has much that is not ours.

import {
  ADDRESS,
  container,
  flag,
  INTERFACE,
  leaf,
  leafList,
  list,
  number,
  options,
  PREFIX,
  reference,
  type SchemaNode,
  TEXT,
  text,
} from './schema-node.ts';

const DESCRIPTION = leaf('description', 'Words for people', text(900));

const interfaceAddress = () =>
  list(
    'address',
    'Address with the length of its network',
    PREFIX,
    [flag('primary', 'The one that packets leave with'), flag('preferred', 'The one used for its network')],
    { isOpen: true },
  );

const NEXT_HOP_TUNNEL = list(
  'next-hop-tunnel',
  'Which VPN leads to this next hop of a multipoint tunnel',
  ADDRESS,
  [leaf('ipsec-vpn', 'The VPN', reference(32, 'security', 'ipsec', 'vpn'))],
  { layout: 'one-line' },
);

const MTU = leaf('mtu', 'Octets of the largest packet', number(256, 9500));

const FAMILY = container(
  'family',
  'Addresses by protocol',
  [
    container('inet', 'IPv4', [interfaceAddress(), MTU, NEXT_HOP_TUNNEL], { isOpen: true }),
    container('inet6', 'IPv6', [interfaceAddress(), MTU, NEXT_HOP_TUNNEL], { isOpen: true }),
  ],
  { isOpen: true, layout: 'joined' },
);

const UNIT = list(
  'unit',
  'Logical interface',
  number(0, 4_294_967_295),
  [
    DESCRIPTION,
    FAMILY,
    flag('multipoint', 'Several peers on one tunnel interface'),
    flag('point-to-point', 'One peer'),
    flag('disable', 'Not in use'),
  ],
  { isOpen: true },
);

export const INTERFACES: SchemaNode = list(
  'interfaces',
  'Interfaces and their addresses',
  text(64),
  [DESCRIPTION, MTU, UNIT, flag('disable', 'Not in use')],
  { layout: 'wrapped', isOpen: true, itemElement: 'interface' },
);

const ROUTE = list(
  'route',
  'A destination',
  PREFIX,
  [
    leafList('next-hop', 'Router, or tunnel interface that leads there', TEXT),
    list(
      'qualified-next-hop',
      'Next hop with a preference of its own',
      TEXT,
      [
        leaf('preference', 'Lower is better', number(0, 4_294_967_295)),
        leaf('metric', 'Lower is better', number(0, 4_294_967_295)),
        leaf('interface', 'Where the next hop is', INTERFACE),
      ],
      { isOpen: true },
    ),
    leaf('preference', 'Lower is better', number(0, 4_294_967_295), { default: '5' }),
    leaf('metric', 'Lower is better', number(0, 4_294_967_295)),
    leaf('next-table', 'Look it up in this table', TEXT),
    flag('discard', 'Drop without a word'),
    flag('reject', 'Drop and say so'),
  ],
  { layout: 'one-line', isOpen: true },
);

const STATIC = container('static', 'Static routes', [ROUTE], { isOpen: true });

const RIB = list('rib', 'A routing table, such as inet6.0', text(64), [STATIC], { isOpen: true });

export const ROUTING_OPTIONS: SchemaNode = container('routing-options', 'Routes', [STATIC, RIB], { isOpen: true });

const INSTANCE_TYPES = {
  'virtual-router': 'A routing table of its own',
  vrf: 'VPN routing and forwarding',
  forwarding: 'Filter-based forwarding',
  'no-forwarding': 'No forwarding',
  'virtual-switch': 'Layer 2',
  'mac-vrf': 'Layer 2 VRF',
  evpn: 'EVPN',
  vpls: 'VPLS',
  l2vpn: 'Layer 2 VPN',
};

export const ROUTING_INSTANCES: SchemaNode = list(
  'routing-instances',
  'Separate routing tables',
  text(128),
  [
    DESCRIPTION,
    leaf('instance-type', 'Kind', options(INSTANCE_TYPES)),
    list('interface', 'Interface in this table', INTERFACE, [], { layout: 'one-line', isOpen: true }),
    container('routing-options', 'Its routes', [STATIC, RIB], { isOpen: true }),
  ],
  { layout: 'wrapped', isOpen: true, itemElement: 'instance' },
);
