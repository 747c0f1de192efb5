import { err, ok, type Result } from '../lib/result.ts';
import { type IpAddress, parseAddress } from '../model/address.ts';

/** An operator's command, understood. */
export interface OperationalCommand {
  readonly kind: CommandKind;
  readonly level: 'brief' | 'detail';
  readonly index?: number;
  readonly vpn?: string;
  readonly remoteAddress?: IpAddress;
}

export type CommandKind =
  | 'show-ike-sas'
  | 'show-ipsec-sas'
  | 'show-ipsec-statistics'
  | 'clear-ike-sas'
  | 'clear-ipsec-sas';

type Option = 'brief' | 'detail' | 'index' | 'vpn-name' | 'address';

interface CommandRule {
  readonly words: readonly string[];
  readonly kind: CommandKind;
  readonly options: readonly Option[];
  readonly help: string;
}

/** Every command, as the operator types it. Words may be shortened as long as they stay unique; `sa` is `security-associations`. */
const COMMANDS: readonly CommandRule[] = [
  {
    words: ['show', 'security', 'ike', 'security-associations'],
    kind: 'show-ike-sas',
    options: ['brief', 'detail', 'index', 'address'],
    help: 'phase 1 SAs',
  },
  {
    words: ['show', 'security', 'ipsec', 'security-associations'],
    kind: 'show-ipsec-sas',
    options: ['brief', 'detail', 'vpn-name'],
    help: 'phase 2 SAs',
  },
  {
    words: ['show', 'security', 'ipsec', 'statistics'],
    kind: 'show-ipsec-statistics',
    options: ['brief', 'detail', 'index'],
    help: 'packets and errors since the start; in detail, why packets were dropped',
  },
  {
    words: ['clear', 'security', 'ike', 'security-associations'],
    kind: 'clear-ike-sas',
    options: ['index', 'address'],
    help: 'end phase 1 SAs, with the phase 2 SAs under them',
  },
  {
    words: ['clear', 'security', 'ipsec', 'security-associations'],
    kind: 'clear-ipsec-sas',
    options: ['vpn-name'],
    help: 'end phase 2 SAs',
  },
];

const ALIASES: Readonly<Record<string, string>> = { sa: 'security-associations' };

/** Reads a command. The error is a sentence that names the first word that does not fit and what could stand there. */
export function parseCommand(words: readonly string[]): Result<OperationalCommand, string> {
  let rules = COMMANDS;
  for (let position = 0; ; position++) {
    const [only] = rules;
    if (rules.length === 1 && only !== undefined && position === only.words.length)
      return parseOptions(only, words.slice(position));
    const next = [...new Set(rules.map((rule) => rule.words[position] ?? ''))];
    const word = words[position];
    if (word === undefined) return err(`the command is not complete: ${next.join(' | ')}`);
    const matching = complete(word, next);
    if (matching.length !== 1) return err(`${word}: ${problem(matching, next)}`);
    rules = rules.filter((rule) => rule.words[position] === matching[0]);
  }
}

function parseOptions(rule: CommandRule, words: readonly string[]): Result<OperationalCommand, string> {
  let command: OperationalCommand = { kind: rule.kind, level: 'brief' };
  for (let position = 0; position < words.length; position++) {
    const word = words[position] ?? '';
    const remoteAddress = rule.options.includes('address') ? parseAddress(word) : undefined;
    if (remoteAddress !== undefined) {
      command = { ...command, remoteAddress };
      continue;
    }
    const matching = complete(
      word,
      rule.options.filter((option) => option !== 'address'),
    );
    if (matching.length !== 1) return err(`${word}: ${problem(matching, rule.options)}`);
    const option = matching[0];
    if (option === 'brief' || option === 'detail') {
      command = { ...command, level: option };
      continue;
    }
    position++;
    const value = words[position];
    if (value === undefined) return err(`${option} needs a value`);
    if (option === 'vpn-name') command = { ...command, vpn: value };
    else if (/^\d{1,10}$/.test(value)) command = { ...command, index: Number(value) };
    else return err(`${value}: index is a number`);
  }
  return ok(command);
}

function complete(word: string, candidates: readonly string[]): readonly string[] {
  const wanted = ALIASES[word] ?? word;
  const exact = candidates.filter((candidate) => candidate === wanted);
  return exact.length > 0 ? exact : candidates.filter((candidate) => candidate.startsWith(wanted));
}

function problem(matching: readonly string[], candidates: readonly string[]): string {
  if (matching.length > 1) return `ambiguous: ${matching.join(' | ')}`;
  return candidates.length === 0 ? 'nothing more is expected here' : `unknown; expected ${candidates.join(' | ')}`;
}
