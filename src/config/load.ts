import type { GatewayConfig } from '../model/gateway-config.ts';
import { checkCommit } from './commit-check.ts';
import { Compilation } from './compilation.ts';
import { compile } from './compile.ts';
import type { ConfigTree } from './config-node.ts';
import { type Diagnostic, hasErrors } from './diagnostic.ts';
import { effectiveTree } from './effective-tree.ts';
import { parseText } from './text-parser.ts';

export type { Diagnostic } from './diagnostic.ts';

export interface LoadedConfiguration {
  /** In the order of their lines. */
  readonly diagnostics: readonly Diagnostic[];
  /** What was kept and does nothing here. */
  readonly ignored: readonly { readonly path: string; readonly line: number }[];
  /** Absent if any diagnostic is an error. */
  readonly config?: GatewayConfig;
  readonly tree: ConfigTree;
}

/** Reads, checks and compiles a configuration in braces or in `set` commands, recognised by itself. */
export function loadConfiguration(text: string): LoadedConfiguration {
  const parsed = parseText(text);
  const { diagnostics, config } = compileTree(parsed.tree, parsed.diagnostics);
  return { diagnostics, ignored: parsed.ignored, tree: parsed.tree, ...(config && { config }) };
}

/** Checks and compiles a tree, as a commit does. `earlier` are diagnostics from reading it. */
export function compileTree(
  tree: ConfigTree,
  earlier: readonly Diagnostic[] = [],
): { readonly diagnostics: readonly Diagnostic[]; readonly config?: GatewayConfig } {
  const compilation = new Compilation(effectiveTree(tree.root));
  checkCommit(compilation);
  const config = compile(compilation);
  const diagnostics = [...earlier, ...compilation.diagnostics].toSorted((a, b) => a.line - b.line);
  return { diagnostics, ...(!hasErrors(diagnostics) && { config }) };
}
