import type { ConfigNode } from './config-node.ts';
import { type Element, elementsOf } from './element.ts';
import { type Place, TOP } from './statement-view.ts';

/** The configuration as `| display xml` prints it. */
export function printXml(node: ConfigNode, place: Place = TOP): string {
  const lines = ['<rpc-reply xmlns:junos="http://xml.juniper.net/junos/24.4R1/junos">', '    <configuration>'];
  for (const element of elementsOf(node, place)) printElement(element, '        ', lines);
  lines.push('    </configuration>', '    <cli>', '        <banner></banner>', '    </cli>', '</rpc-reply>');
  return lines.map((line) => `${line}\n`).join('');
}

function printElement(element: Element, margin: string, lines: string[]): void {
  const { name, text, children } = element;
  if (element.annotation !== undefined)
    lines.push(`${margin}<junos:comment>/* ${escapeXml(element.annotation)} */</junos:comment>`);
  const marks = `${element.isInactive ? ' inactive="inactive"' : ''}${element.isProtected ? ' protect="protect"' : ''}`;
  if (text !== undefined) {
    lines.push(`${margin}<${name}${marks}>${escapeXml(text)}</${name}>`);
  } else if (children.length === 0) {
    lines.push(`${margin}<${name}${marks}/>`);
  } else {
    lines.push(`${margin}<${name}${marks}>`);
    for (const child of children) printElement(child, `${margin}    `, lines);
    lines.push(`${margin}</${name}>`);
  }
}

function escapeXml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
