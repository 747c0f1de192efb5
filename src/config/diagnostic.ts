/** One thing to say about a configuration. `error` stops a commit; `advice` is for those who like to sleep. */
export interface Diagnostic {
  readonly severity: 'error' | 'warning' | 'advice';
  /** Junos path, such as `security ike gateway hq`. */
  readonly path: string;
  /** Line in the text, from 1; 0 if no text said it. */
  readonly line: number;
  readonly message: string;
  /** The line to type. */
  readonly fix?: string;
  /** Where in that line the trouble starts, from 1. */
  readonly column?: number;
}

/**
 * Diagnostics as an operator reads them: one line each, with the offending line and a caret where `source` is given. What was pasted is
 * shown, not obeyed: characters that would move the cursor, or turn the text round, come out as their numbers.
 */
export function formatDiagnostic(diagnostic: Diagnostic, sourceLine?: string): string {
  const where = diagnostic.line > 0 ? `line ${diagnostic.line}: ` : '';
  const path = diagnostic.path === '' ? '' : `[${visible(diagnostic.path)}]: `;
  const lines = [`${diagnostic.severity}: ${where}${path}${visible(diagnostic.message)}`];
  if (sourceLine !== undefined && diagnostic.column !== undefined) {
    const before = visible(sourceLine.slice(0, diagnostic.column - 1));
    lines.push(`    ${visible(sourceLine)}`, `    ${' '.repeat(before.length)}^`);
  }
  if (diagnostic.fix !== undefined) lines.push(`    fix: ${visible(diagnostic.fix)}`);
  return lines.join('\n');
}

/** Control characters, and those that change the direction or hide in the text (Unicode Cc, Cf, line and paragraph separators). */
const INVISIBLE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu;

function visible(text: string): string {
  return text.replaceAll('\t', ' ').replace(INVISIBLE, (character) => {
    const code = character.codePointAt(0) ?? 0;
    return `<U+${code.toString(16).toUpperCase().padStart(4, '0')}>`;
  });
}

export function hasErrors(diagnostics: readonly Diagnostic[]): boolean {
  return diagnostics.some((diagnostic) => diagnostic.severity === 'error');
}
