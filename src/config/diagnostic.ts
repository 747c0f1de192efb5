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

/** Diagnostics as an operator reads them: one line each, with the offending line and a caret where `source` is given. */
export function formatDiagnostic(diagnostic: Diagnostic, sourceLine?: string): string {
  const where = diagnostic.line > 0 ? `line ${diagnostic.line}: ` : '';
  const path = diagnostic.path === '' ? '' : `[${diagnostic.path}]: `;
  const lines = [`${diagnostic.severity}: ${where}${path}${diagnostic.message}`];
  if (sourceLine !== undefined && diagnostic.column !== undefined) {
    lines.push(`    ${sourceLine.replaceAll('\t', ' ')}`, `    ${' '.repeat(diagnostic.column - 1)}^`);
  }
  if (diagnostic.fix !== undefined) lines.push(`    fix: ${diagnostic.fix}`);
  return lines.join('\n');
}

export function hasErrors(diagnostics: readonly Diagnostic[]): boolean {
  return diagnostics.some((diagnostic) => diagnostic.severity === 'error');
}
