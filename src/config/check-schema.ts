// What the schema alone can say of a whole configuration: missing statements, dangling references, too many entries, no effect.

import { type Compilation, Statement } from './compilation.ts';
import { JUNOS_SCHEMA } from './junos-schema.ts';
import type { SchemaNode, ValueType } from './schema-node.ts';
import { nearestWord } from './suggestion.ts';

/** Checks every statement that the schema knows. */
export function checkSchema(compilation: Compilation): void {
  new SchemaCheck(compilation).check(compilation.root, JUNOS_SCHEMA);
}

class SchemaCheck {
  readonly #compilation: Compilation;
  readonly #saidOnce = new Set<SchemaNode>();

  constructor(compilation: Compilation) {
    this.#compilation = compilation;
  }

  check(statement: Statement, schema: SchemaNode): void {
    for (const child of schema.children.values()) {
      if (child.name === 'groups') continue;
      const node = statement.node.child(child.name);
      if (node) this.#checkChild(new Statement(node, statement), child);
      else if (child.isMandatory) this.#missing(statement, child);
    }
  }

  #checkChild(statement: Statement, schema: SchemaNode): void {
    this.#checkSupport(statement, schema);
    const entries = statement.node.children.map((node) => new Statement(node, statement));
    if (schema.maxEntries !== undefined && entries.length > schema.maxEntries) {
      this.#compilation.error(statement, `more than ${schema.maxEntries} entries (${entries.length})`);
    }
    if (schema.kind === 'container') return this.check(statement, schema);
    for (const entry of entries) {
      const type = schema.key ?? schema.value;
      if (type?.kind === 'reference') this.#checkReference(statement, entry, type);
      if (schema.kind === 'list') this.check(entry, schema);
    }
  }

  /** Said once for each kind of statement: a thousand VPNs with `vpn-monitor` need one line. */
  #checkSupport(statement: Statement, schema: SchemaNode): void {
    if (schema.support === 'supported' || this.#saidOnce.has(schema)) return;
    this.#saidOnce.add(schema);
    if (schema.support === 'no-effect')
      this.#compilation.warn(statement, `accepted, but without effect here: ${schema.reason}`);
    else this.#compilation.error(statement, `not supported yet: ${schema.reason}`, `delete ${statement.path}`);
  }

  #missing(statement: Statement, schema: SchemaNode): void {
    this.#compilation.error(
      statement,
      `Missing mandatory statement: '${schema.name}'`,
      `set ${statement.path} ${schema.name} <${schema.name}>`,
    );
  }

  #checkReference(statement: Statement, entry: Statement, type: ValueType & { kind: 'reference' }): void {
    const defined = this.#compilation.root.node.find(...type.to);
    if (defined?.child(entry.name)) return;
    const names = defined?.children.map((child) => child.word) ?? [];
    const meant = nearestWord(entry.name, names.slice(0, 1000));
    this.#compilation.error(
      statement,
      `'${entry.name}' is not defined under [${type.to.join(' ')}]${meant === undefined ? '' : `; did you mean '${meant}'?`}`,
      meant === undefined ? `set ${type.to.join(' ')} ${entry.name} ...` : `set ${statement.path} ${meant}`,
    );
  }
}
