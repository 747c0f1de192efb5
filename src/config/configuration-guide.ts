// The reference of the configuration language, as Markdown, written from the schema.

import { JUNOS_SCHEMA } from './junos-schema.ts';
import type { SchemaNode } from './schema-node.ts';
import { describeType } from './value-check.ts';

const INTRODUCTION = `# Configuration reference

<!-- Written by \`scripts/generate-configuration-guide.mjs\` from the schema that the gateway itself reads with: do not edit. -->

Sallyport reads the configuration of a Juniper SRX, in braces or as \`set\` commands, and shows it back. This page lists every statement
that it knows. A statement that is not listed inside \`security ike\` or \`security ipsec\` is an error, since it can only be a typo;
elsewhere it is kept, shown back, and listed as ignored by \`sallyport check\`.

In the tables, *default* is what holds when the statement is absent. Marks: **(no effect)** means that the statement is accepted and kept
but changes nothing here, for the reason given; **(not supported)** means that a commit refuses it, since the VPN would not be what it says.

`;

const DIFFERENCES = `## Where it differs from an SRX

- **IKEv2** is not spoken yet: a gateway with \`version v2-only\` is an error.
- **Certificates** are kept but not used yet: proposals must authenticate with \`pre-shared-keys\`.
- **Zones, security policies and NAT** are read for what they say about VPNs, and checked; packets are not filtered or translated.
- **\`external-interface\`** names a Junos interface. The local address is its primary address (the one marked \`primary\` or \`preferred\`,
  else the lowest) in the family of the peer. If none is configured, the address is taken from the host.
- **The MTU of \`st0\`** is 1400 unless it is configured (9192 on an SRX): the hosts behind a Linux gateway see it, and 1400 leaves room for
  ESP, UDP and IPv6 in a path of 1500 octets. One device has one MTU: the smallest of those configured counts.
- **The default proxy identity** is 0.0.0.0/0 on both sides, as on an SRX; on a unit of \`st0\` that carries only \`family inet6\` it is ::/0.
- **Routes**: only static routes whose next hop is a unit of \`st0\`, and those that traffic selectors bring along, are installed. Other routes are
  the host's. Routing instances share one table. The metric of a route is its \`metric\`, else its \`preference\`, else 5.
- **Traffic flow confidentiality** has no statement in Junos. \`apply-macro sallyport\` under a VPN asks for it, which an SRX keeps and ignores:
  \`tfc-padding 1400\` makes short packets as long as long ones inside the tunnel (RFC 4303 §2.7), \`dummy-interval 10\` sends a dummy packet after
  ten seconds of silence (RFC 4303 §2.6; as long as a padded packet, or else of random length). Dummies are not traffic for \`idle-time\` and dead peer
  detection. RFC 4303 wants the padding agreed with the peer, and IKEv1 has no words for that: ask for it only where the peer is known to take it off, as
  strongSwan (which calls it \`tfc_padding\`), Linux (\`tfcpad\`) and Sallyport do. The length of what is sent in the tunnel is concealed, not that of
  packets longer than the setting.
- **\`\${node}\`** in \`apply-groups\` is \`node0\`.
- **Secrets** may be typed in clear or as \`$9$\`. \`$9$\` only keeps them from a passing glance: whoever has the file has the keys.
- In \`set\` commands a keyword may be cut short as long as it is clear, as at a prompt of Junos.

`;

/** Hierarchies in the order of the guide. */
const CHAPTERS: readonly string[] = [
  'security ike',
  'security ipsec',
  'interfaces',
  'routing-options',
  'routing-instances',
  'security zones',
  'security policies',
  'security address-book',
  'security flow',
  'security nat',
  'security pki',
  'access',
  'system',
];

/** The whole guide. */
export function configurationGuide(): string {
  return INTRODUCTION + DIFFERENCES + CHAPTERS.map((path) => chapter(path, find(path))).join('\n');
}

function find(path: string): SchemaNode {
  let schema = JUNOS_SCHEMA;
  for (const word of path.split(' ')) {
    const child = schema.children.get(word);
    if (child === undefined) throw new RangeError(`the schema has no ${path}`);
    schema = child;
  }
  return schema;
}

function chapter(path: string, schema: SchemaNode): string {
  const openness = schema.isWhole ? '' : ' Other statements of Junos are kept here and ignored.';
  return `## \`${path}\`\n\n${schema.help}.${openness}${remark(schema)}\n\n${table(schema)}${sections(path, schema)}`;
}

/** Hierarchies below get a section each; small ones stay in the table of their parent. */
function sections(path: string, schema: SchemaNode): string {
  return [...schema.children.values()]
    .filter((child) => child.children.size > 0)
    .map((child) => {
      const title = child.kind === 'list' ? `${path} ${child.name} <name>` : `${path} ${child.name}`;
      return `\n### \`${title}\`\n\n${child.help}.${remark(child)}\n\n${table(child)}${sections(title, child)}`;
    })
    .join('');
}

function table(schema: SchemaNode): string {
  const rows = [...schema.children.values()].map(
    (child) => `| \`${child.name}\` | ${cell(values(child))} | ${cell(about(child))} |\n`,
  );
  const { positional } = schema;
  const own = positional
    ? [`| *${positional.name}* | ${cell(describeType(positional.value))} | Written without a keyword. |\n`]
    : [];
  return rows.length + own.length === 0
    ? ''
    : `| Statement | Values | Meaning |\n|---|---|---|\n${[...own, ...rows].join('')}`;
}

function values(schema: SchemaNode): string {
  const type = schema.key ?? schema.value;
  if (schema.kind === 'flag') return '';
  if (type === undefined) return schema.children.size > 0 ? '{ ... }' : '';
  if (type.kind === 'choice')
    return Object.entries(type.options)
      .map(([word, help]) => `\`${word}\`: ${help}`)
      .join('<br>');
  const several = schema.kind === 'leaf-list' ? ', one or several' : '';
  return `${schema.kind === 'list' ? 'name: ' : ''}${describeType(type)}${several}`;
}

function about(schema: SchemaNode): string {
  const facts = [
    schema.default === undefined ? '' : `Default ${schema.default}.`,
    schema.isMandatory ? 'Mandatory.' : '',
    schema.maxEntries === undefined ? '' : `At most ${schema.maxEntries}.`,
    schema.isSecret ? 'Shown as `$9$`.' : '',
  ].filter((fact) => fact !== '');
  return [`${schema.help}.`, ...facts].join(' ') + remark(schema);
}

function remark(schema: SchemaNode): string {
  if (schema.support === 'supported') return '';
  return ` **(${schema.support === 'no-effect' ? 'no effect' : 'not supported'})**: ${schema.reason}.`;
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|');
}
