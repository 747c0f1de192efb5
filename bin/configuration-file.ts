import { readFileSync } from 'node:fs';
import { formatDiagnostic } from '../src/config/diagnostic.ts';
import { type LoadedConfiguration, loadConfiguration } from '../src/config/load.ts';

/** A configuration file, read, with what there is to say about it as lines for an operator. */
export interface ConfigurationFile {
  readonly loaded: LoadedConfiguration;
  readonly text: string;
  readonly report: readonly string[];
}

/** Reads a file (`-` is standard input); throws if it cannot be read. What is wrong inside it is in the report. */
export function readConfigurationFile(path: string): ConfigurationFile {
  const text = readFileSync(path === '-' ? 0 : path, 'utf8');
  const loaded = loadConfiguration(text);
  const lines = text.split('\n');
  const report = loaded.diagnostics.map((diagnostic) => formatDiagnostic(diagnostic, lines[diagnostic.line - 1]));
  return { loaded, text, report };
}
