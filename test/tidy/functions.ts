import { lineAt, type SourceFile } from './source-file.ts';

/** A function, method or arrow function with a body in braces. */
export interface FunctionExtent {
  readonly name: string;
  readonly line: number;
  /** From its opening brace's line to its closing brace's line, both included. */
  readonly lines: number;
}

const CONTROL = /^(?:\}\s*)?(?:else\s+)?(?:if|for|while|switch|catch|with|do|else|try|finally)\b/;

/** Every function of a file, found by its braces in the masked text; nested ones too. */
export function findFunctions(file: SourceFile): readonly FunctionExtent[] {
  const found: FunctionExtent[] = [];
  const open: { readonly offset: number; readonly name: string | undefined }[] = [];
  for (const match of file.code.matchAll(/[{}]/g)) {
    if (match[0] === '{') {
      open.push({ offset: match.index, name: functionName(file.code, match.index) });
      continue;
    }
    const opened = open.pop();
    if (opened?.name === undefined) continue;
    const line = lineAt(file.text, opened.offset);
    found.push({ name: opened.name, line, lines: lineAt(file.text, match.index) - line + 1 });
  }
  return found;
}

/** The name of the function whose body opens here; `undefined` if something else does. */
function functionName(code: string, brace: number): string | undefined {
  // A return type in braces is not the body: `): { x: number } {`.
  const before = code
    .slice(Math.max(0, brace - 600), brace)
    .trimEnd()
    .replace(/\)\s*:\s*\{[^{}]*\}$/, '): T');
  // A suite is a list of tests, not a function to follow.
  if (/(?:^|\n)(?:describe|suite)\([^;]*=>$/.test(before)) return undefined;
  if (before.endsWith('=>')) return before.match(/(?:const|let)\s+(\w+)[^;]*=>$/)?.[1] ?? 'arrow function';
  const header = before.slice(Math.max(before.lastIndexOf(';'), before.lastIndexOf('\n\n')) + 1).trimStart();
  const lastLines = header.split('\n').slice(-14).join('\n');
  const call = lastLines.match(
    /(?:^|\n|\s)((?:[#\w$]+|\[[\w.]+\]))\s*(?:<[^()]*>)?\([^{}]*\)(?:\s*:[^={}]*[^={}\s])?$/,
  );
  if (!call) return undefined;
  const line = (call.index === undefined ? lastLines : lastLines.slice(call.index)).trimStart();
  return CONTROL.test(line) ? undefined : call[1];
}
