// What may stand behind a `|`.

import type { ConfigTree } from '../config/config-node.ts';
import { effectiveTree } from '../config/effective-tree.ts';
import { printBraces } from '../config/print-braces.ts';
import { printJson } from '../config/print-json.ts';
import { printSet } from '../config/print-set.ts';
import { printXml } from '../config/print-xml.ts';
import { placeAt } from '../config/statement-view.ts';
import { err, ok, type Result } from '../lib/result.ts';

export type Display = 'set' | 'set relative' | 'json' | 'xml' | 'inheritance' | 'braces';

export type Pipe =
  | { readonly kind: 'display'; readonly form: Display }
  | { readonly kind: 'compare'; readonly rollback: number }
  | { readonly kind: 'match' | 'except' | 'find'; readonly expression: RegExp }
  | { readonly kind: 'count' }
  | { readonly kind: 'last'; readonly lines: number }
  | { readonly kind: 'no-more' }
  | { readonly kind: 'trim'; readonly columns: number }
  | { readonly kind: 'save'; readonly file: string };

export interface PipedText {
  readonly text: string;
  /** Written to these files by the caller instead of shown. */
  readonly saveTo?: string;
}

/** Junos shows a screen; scripts have none. */
const LAST_LINES_DEFAULT = 24;
const DISPLAYS: readonly Display[] = ['set', 'json', 'xml', 'inheritance'];

/** Reads what stands behind the command: `display set | match ipsec | count`. */
export function parsePipes(text: string): Result<readonly Pipe[], string> {
  const pipes: Pipe[] = [];
  for (const part of splitPipes(text)) {
    const pipe = parsePipe(part);
    if (!pipe.ok) return pipe;
    pipes.push(pipe.value);
  }
  return ok(pipes);
}

/** The configuration at `path` in the form that the pipes ask for, then filtered from left to right. */
export function pipeConfiguration(
  tree: ConfigTree,
  path: readonly string[],
  pipes: readonly Pipe[],
  compare: (rollback: number) => string,
): PipedText {
  const comparison = pipes.find((pipe) => pipe.kind === 'compare');
  const display = pipes.find((pipe) => pipe.kind === 'display');
  const text = comparison ? compare(comparison.rollback) : displayTree(tree, path, display?.form ?? 'braces');
  return pipeText(text, pipes);
}

/** Filters text from left to right. */
export function pipeText(text: string, pipes: readonly Pipe[]): PipedText {
  let lines = text.split('\n');
  if (lines.at(-1) === '') lines.pop();
  let saveTo: string | undefined;
  for (const pipe of pipes) {
    if (pipe.kind === 'save') saveTo = pipe.file;
    else lines = filterLines(lines, pipe);
  }
  return { text: lines.map((line) => `${line}\n`).join(''), ...(saveTo !== undefined && { saveTo }) };
}

function displayTree(tree: ConfigTree, path: readonly string[], form: Display): string {
  const root = form === 'inheritance' ? effectiveTree(tree.root) : tree.root;
  const node = root.find(...path);
  if (node === undefined) return '';
  const place = placeAt(path);
  switch (form) {
    case 'set':
      return printSet(node, path);
    case 'set relative':
      return printSet(node);
    case 'json':
      return printJson(node, place);
    case 'xml':
      return printXml(node, place);
    case 'inheritance':
      return printBraces(node, place, { showsInheritance: true });
    case 'braces':
      return printBraces(node, place);
  }
}

function filterLines(lines: readonly string[], pipe: Pipe): string[] {
  switch (pipe.kind) {
    case 'match':
      return lines.filter((line) => pipe.expression.test(line));
    case 'except':
      return lines.filter((line) => !pipe.expression.test(line));
    case 'find': {
      const first = lines.findIndex((line) => pipe.expression.test(line));
      return first < 0 ? ['Pattern not found'] : lines.slice(first);
    }
    case 'count':
      return [`Count: ${lines.length} lines`];
    case 'last':
      return lines.slice(-pipe.lines);
    case 'trim':
      return lines.map((line) => line.slice(pipe.columns));
    default:
      return [...lines];
  }
}

/** A `|` in quotes is part of an expression. */
function splitPipes(text: string): string[] {
  const parts = text.match(/(?:"(?:[^"\\]|\\.)*"|[^|"])+/g) ?? [];
  return parts.map((part) => part.trim()).filter((part) => part !== '');
}

function parsePipe(part: string): Result<Pipe, string> {
  const [verb = '', ...rest] = part.split(/\s+/);
  const argument = part.slice(verb.length).trim();
  const plain = argument.replace(/^"(.*)"$/s, '$1');
  switch (verb) {
    case 'display':
      return parseDisplay(rest.join(' '));
    case 'compare':
      return ok({ kind: 'compare', rollback: rest[0] === 'rollback' ? Number(rest[1] ?? '0') || 0 : 0 });
    case 'match':
    case 'except':
    case 'find':
      return parseExpression(verb, plain);
    case 'count':
    case 'no-more':
      return ok({ kind: verb });
    case 'last':
      return ok({ kind: 'last', lines: Number(plain) || LAST_LINES_DEFAULT });
    case 'trim':
      return ok({ kind: 'trim', columns: Number(plain) || 0 });
    case 'save':
      return plain === '' ? err('syntax error: save takes a file') : ok({ kind: 'save', file: plain });
    default:
      return err(`syntax error: '${verb}' cannot stand behind |`);
  }
}

function parseDisplay(word: string): Result<Pipe, string> {
  if (word === 'set relative') return ok({ kind: 'display', form: 'set relative' });
  const form = DISPLAYS.find((candidate) => candidate === word);
  return form ? ok({ kind: 'display', form }) : err(`syntax error: display ${word} is not known`);
}

function parseExpression(kind: 'match' | 'except' | 'find', pattern: string): Result<Pipe, string> {
  if (pattern === '') return err(`syntax error: ${kind} takes an expression`);
  try {
    // Junos does not distinguish capitals here.
    return ok({ kind, expression: new RegExp(pattern, 'i') });
  } catch {
    return err(`error: '${pattern}' is not a regular expression`);
  }
}
