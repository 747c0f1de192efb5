// Commit checks of what stands around VPNs and can keep traffic out of them.

import { type Compilation, Statement } from './compilation.ts';
import { nearestWord } from './suggestion.ts';

/** Source NAT in front of tunnels, groups that do not exist, gateways that nobody uses. */
export function checkSurroundings(compilation: Compilation): void {
  checkNat(compilation);
  checkGroups(compilation);
  checkUnused(compilation);
}

/** Traffic whose source is translated no longer fits what the SA carries. */
function checkNat(compilation: Compilation): void {
  const tunnelZones = new Map<string, string>();
  for (const vpn of compilation.root.entries('security', 'ipsec', 'vpn')) {
    const tunnel = vpn.value('bind-interface');
    const zone = tunnel === undefined ? undefined : compilation.zoneOf(tunnel);
    if (tunnel !== undefined && zone) tunnelZones.set(zone.name, tunnel);
  }
  for (const ruleSet of compilation.root.entries('security', 'nat', 'source', 'rule-set')) {
    const zone = ruleSet.words('to', 'zone').find((name) => tunnelZones.has(name));
    if (zone === undefined) continue;
    const rule = ruleSet.entries('rule').find((candidate) => !candidate.has('then', 'source-nat', 'off'));
    if (rule === undefined) continue;
    compilation.warn(
      rule,
      `source NAT into zone ${zone} also translates what goes through ${tunnelZones.get(zone)} (on an SRX; nothing is translated here)`,
      `set ${ruleSet.path} rule no-nat match destination-address <remote network>`,
    );
  }
}

function checkGroups(compilation: Compilation): void {
  const groups = compilation.root.words('groups');
  const visit = (statement: Statement): void => {
    for (const child of statement.node.children) {
      if (child.word === 'groups' || child.isLeaf) continue;
      const below = new Statement(child, statement);
      if (child.word === 'apply-groups') checkAppliedGroups(compilation, below, groups);
      else visit(below);
    }
  };
  visit(compilation.root);
}

function checkAppliedGroups(compilation: Compilation, applied: Statement, groups: readonly string[]): void {
  for (const { word } of applied.node.children) {
    if (groups.includes(word) || word.startsWith('${')) continue;
    const meant = nearestWord(word, groups);
    const hint = meant === undefined ? '' : `; did you mean '${meant}'?`;
    compilation.error(applied, `group '${word}' is not defined${hint}`, `set groups ${word} ...`);
  }
}

function checkUnused(compilation: Compilation): void {
  const used = new Set(compilation.root.entries('security', 'ipsec', 'vpn').map((vpn) => vpn.value('ike', 'gateway')));
  for (const gateway of compilation.root.entries('security', 'ike', 'gateway')) {
    if (used.has(gateway.name)) continue;
    compilation.advise(gateway, 'no vpn uses this gateway', `set security ipsec vpn <vpn> ike gateway ${gateway.name}`);
  }
}
