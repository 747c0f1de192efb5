import { type Diagnostic, formatDiagnostic, hasErrors } from '../config/diagnostic.ts';
import { loadConfiguration } from '../config/load.ts';

export interface CheckReport {
  /** 0: clean, or advice and warnings only. 1: errors. */
  readonly exitCode: 0 | 1;
  /** For people: each diagnostic with its line and the line to type, what is ignored, and a sum. */
  readonly text: string;
  /** The same as plain data. */
  readonly data: {
    readonly ok: boolean;
    readonly diagnostics: readonly Diagnostic[];
    readonly ignored: readonly { readonly path: string; readonly line: number }[];
    readonly vpns: number;
  };
}

/** What `sallyport check` says about a configuration. Pure: the caller reads the file and exits. */
export function checkConfiguration(text: string): CheckReport {
  const loaded = loadConfiguration(text);
  const { diagnostics, ignored } = loaded;
  const ok = !hasErrors(diagnostics);
  const source = text.split('\n');
  const lines = diagnostics.map((diagnostic) => formatDiagnostic(diagnostic, source[diagnostic.line - 1]));
  for (const { path, line } of ignored)
    lines.push(`ignored: line ${line}: [${path}]: kept as it is, without effect here`);
  const vpns = loaded.config?.vpns.length ?? 0;
  lines.push(ok ? `configuration check succeeds (${count(vpns, 'VPN')})` : 'error: configuration check-out failed');
  return {
    exitCode: ok ? 0 : 1,
    text: lines.map((line) => `${line}\n`).join(''),
    data: { ok, diagnostics, ignored, vpns },
  };
}

function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`;
}
