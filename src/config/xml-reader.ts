import { err, ok, type Result } from '../lib/result.ts';

/** An element of an XML text: only what a NETCONF reply needs. Names are without their namespace prefix. */
export interface XmlElement {
  readonly name: string;
  readonly line: number;
  readonly attributes: ReadonlyMap<string, string>;
  readonly children: XmlElement[];
  text: string;
}

export interface XmlFault {
  readonly line: number;
  readonly message: string;
}

const DEPTH_MAX = 128;
const TOKEN =
  /<!--[\s\S]*?-->|<\?[\s\S]*?\?>|<!\[CDATA\[([\s\S]*?)\]\]>|<(\/?)([A-Za-z_][\w.:-]*)((?:[^<>"']|"[^"]*"|'[^']*')*?)(\/?)>|([^<]+)|(<)/g;
const ATTRIBUTE = /([\w.:-]+)\s*=\s*(?:"([^"]*)"|'([^']*)')/g;
const ENTITIES: ReadonlyMap<string, string> = new Map([
  ['lt', '<'],
  ['gt', '>'],
  ['amp', '&'],
  ['quot', '"'],
  ['apos', "'"],
]);

/** Reads a text into one element that holds everything. Document types, and with them entities of its own, are refused. */
export function readXml(text: string): Result<XmlElement, XmlFault> {
  const root: XmlElement = { name: '', line: 1, attributes: new Map(), children: [], text: '' };
  const open: XmlElement[] = [root];
  let line = 1;
  for (const match of text.matchAll(TOKEN)) {
    const [whole, cdata, isEnd, name = '', attributes = '', isEmpty, characters, stray] = match;
    const current = open.at(-1) ?? root;
    if (stray !== undefined) return err({ line, message: 'this is not well-formed XML' });
    if (characters !== undefined) current.text += decodeEntities(characters);
    else if (cdata !== undefined) current.text += cdata;
    else if (isEnd === '/') {
      if (current.name !== localName(name)) return err({ line, message: `</${name}> closes <${current.name}>` });
      open.pop();
    } else if (isEnd === '') {
      const child = { name: localName(name), line, attributes: readAttributes(attributes), children: [], text: '' };
      current.children.push(child);
      if (isEmpty !== '/') open.push(child);
      if (open.length > DEPTH_MAX) return err({ line, message: `elements nested deeper than ${DEPTH_MAX}` });
    }
    line += whole.split('\n').length - 1;
  }
  const unclosed = open.at(-1);
  if (unclosed && unclosed !== root) return err({ line: unclosed.line, message: `<${unclosed.name}> has no end` });
  return ok(root);
}

function localName(name: string): string {
  return name.slice(name.indexOf(':') + 1);
}

function readAttributes(text: string): ReadonlyMap<string, string> {
  return new Map([...text.matchAll(ATTRIBUTE)].map(([, name = '', a, b]) => [localName(name), a ?? b ?? '']));
}

function decodeEntities(text: string): string {
  return text.replaceAll(/&(#x?[0-9a-fA-F]+|\w+);/g, (whole, name: string) => {
    if (!name.startsWith('#')) return ENTITIES.get(name) ?? whole;
    const code = name.startsWith('#x') ? Number.parseInt(name.slice(2), 16) : Number(name.slice(1));
    return code <= 0x10ffff ? String.fromCodePoint(code) : whole;
  });
}
