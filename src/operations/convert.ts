import type { ConfigTree } from '../config/config-node.ts';
import { type Diagnostic, formatDiagnostic } from '../config/diagnostic.ts';
import { printBraces } from '../config/print-braces.ts';
import { printJson } from '../config/print-json.ts';
import { printSet } from '../config/print-set.ts';
import { printXml } from '../config/print-xml.ts';
import { parseText } from '../config/text-parser.ts';

export const CONFIGURATION_FORMS = ['set', 'braces', 'json', 'xml'] as const;

export type ConfigurationForm = (typeof CONFIGURATION_FORMS)[number];

export interface Conversion {
  /** 0: everything was understood. 1: something was not; what was is still printed. */
  readonly exitCode: 0 | 1;
  readonly text: string;
  /** For the standard error stream. */
  readonly complaints: string;
}

/** What `sallyport convert` prints. Pure: the caller reads the file and exits. Only the grammar is checked, not what a commit checks. */
export function convertConfiguration(text: string, form: ConfigurationForm): Conversion {
  const { tree, diagnostics } = parseText(text);
  const errors = diagnostics.filter((diagnostic) => diagnostic.severity === 'error');
  return {
    exitCode: errors.length > 0 ? 1 : 0,
    text: printConfiguration(tree, form),
    complaints: describe(errors, text),
  };
}

/** A whole configuration in one of its forms. */
function printConfiguration(tree: ConfigTree, form: ConfigurationForm): string {
  switch (form) {
    case 'set':
      return printSet(tree.root);
    case 'braces':
      return printBraces(tree.root);
    case 'json':
      return printJson(tree.root);
    case 'xml':
      return printXml(tree.root);
  }
}

function describe(errors: readonly Diagnostic[], text: string): string {
  const source = text.split('\n');
  return errors.map((error) => `${formatDiagnostic(error, source[error.line - 1])}\n`).join('');
}
