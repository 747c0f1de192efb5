import { INTERFACES, ROUTING_INSTANCES, ROUTING_OPTIONS } from './schema-network.ts';
import { container, leaf, list, open, type SchemaNode, TEXT, text } from './schema-node.ts';
import { SECURITY } from './schema-security.ts';
import { ACCESS, SYSTEM } from './schema-system.ts';

/** Hierarchies of Junos that have nothing to do with VPNs here: known by name only, so that a typo is not taken for one. */
const ELSEWHERE: readonly (readonly [name: string, help: string])[] = [
  ['access-profile', 'Default users'],
  ['accounting-options', 'Accounting'],
  ['applications', 'Names for protocols and ports'],
  ['bridge-domains', 'Layer 2 domains'],
  ['chassis', 'Hardware and clusters'],
  ['class-of-service', 'Queues'],
  ['dynamic-profiles', 'Templates for subscribers'],
  ['ethernet-switching-options', 'Switching'],
  ['event-options', 'Reactions to events'],
  ['fabric', 'Fabrics'],
  ['firewall', 'Packet filters'],
  ['forwarding-options', 'Relays and sampling'],
  ['jsrc-partition', 'Subscriber services'],
  ['logical-systems', 'Devices in the device'],
  ['multicast-snooping-options', 'Multicast'],
  ['multi-chassis', 'Several chassis'],
  ['openconfig-system', 'OpenConfig'],
  ['poe', 'Power over Ethernet'],
  ['policy-options', 'Routing policies'],
  ['protocols', 'Routing protocols'],
  ['schedulers', 'Times of day'],
  ['services', 'Services'],
  ['session-limit-group', 'Session limits'],
  ['smtp', 'Mail'],
  ['snmp', 'Network management'],
  ['switch-options', 'Switching'],
  ['tenants', 'Tenants'],
  ['unified-edge', 'Mobile networks'],
  ['virtual-chassis', 'Virtual chassis'],
  ['vlans', 'VLANs'],
  ['vmhost', 'Host below the device'],
  ['wlan', 'Wireless networks'],
];

const HIERARCHIES: readonly SchemaNode[] = [
  SYSTEM,
  INTERFACES,
  SECURITY,
  ROUTING_OPTIONS,
  ROUTING_INSTANCES,
  ACCESS,
  ...ELSEWHERE.map(([name, help]) => open(name, help)),
];

const GROUPS = list('groups', 'Statements to be taken over elsewhere', text(254), HIERARCHIES, {
  layout: 'wrapped',
  isOpen: true,
});

/** The whole language, from the top. */
export const JUNOS_SCHEMA: SchemaNode = container(
  '',
  'The configuration',
  [
    leaf('version', 'Release that wrote this text', TEXT),
    leaf('rcsid', 'Revision of this text', TEXT),
    GROUPS,
    ...HIERARCHIES,
  ],
  { isOpen: true },
);
