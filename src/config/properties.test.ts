import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { randomBelow, SeededRandom } from '../lib/random.ts';
import { compareTrees } from './compare.ts';
import { type ConfigNode, type ConfigTree, emptyTree, treesEqual } from './config-node.ts';
import { loadConfiguration } from './load.ts';
import { applyPatch } from './patch.ts';
import { printBraces } from './print-braces.ts';
import { printJson } from './print-json.ts';
import { printSet } from './print-set.ts';
import { printXml } from './print-xml.ts';
import { randomStatement } from './random-statements.fixture.ts';
import { placeAt } from './statement-view.ts';
import { parseText } from './text-parser.ts';
import { applyChange } from './tree-edit.ts';
import { quoteWords } from './words.ts';

const RUNS = { numRuns: 300 };

function randomTree(random: SeededRandom, statements: number): ConfigTree {
  const lines = Array.from({ length: statements }, () => `set ${quoteWords(randomStatement(random))}\n`);
  const { tree, diagnostics } = parseText(lines.join(''));
  assert.deepEqual(diagnostics, [], 'the schema allows what was made from it');
  const leaf = tree.root.children[randomBelow(random, tree.root.children.length)];
  if (leaf && randomBelow(random, 3) === 0) leaf.isInactive = true;
  return tree;
}

/** Lines of `display set`, without their order. */
function facts(node: ConfigNode): string[] {
  return printSet(node)
    .split('\n')
    .toSorted((a, b) => (a < b ? -1 : 1));
}

test('random trees from the schema, printed and parsed back in each form, are equal', () => {
  fc.assert(
    fc.property(fc.integer(), fc.integer({ min: 1, max: 40 }), (seed, size) => {
      const { root } = randomTree(new SeededRandom(seed), size);
      const again = parseText(printBraces(root));
      assert.deepEqual(again.diagnostics, []);
      assert.ok(treesEqual(again.tree.root, root), `braces, seed ${seed}:\n${printBraces(root)}`);
      assert.ok(treesEqual(parseText(printSet(root)).tree.root, root), `set, seed ${seed}:\n${printSet(root)}`);
      const fromXml = parseText(printXml(root)).tree.root;
      assert.deepEqual(facts(fromXml), facts(root), `XML, seed ${seed}`);
      JSON.parse(printJson(root));
    }),
    RUNS,
  );
});

test('a comparison is empty exactly for equal trees, and its patch makes one of the other', () => {
  fc.assert(
    fc.property(fc.integer(), (seed) => {
      const random = new SeededRandom(seed);
      const before = randomTree(random, 30);
      const after = { root: before.root.clone() };
      for (let count = randomBelow(random, 8); count > 0; count--) edit(random, after);
      const patch = compareTrees(before.root, after.root);
      assert.equal(compareTrees(before.root, before.root.clone()), '');
      assert.deepEqual(applyPatch(before, patch), [], `seed ${seed}:\n${patch}`);
      assert.deepEqual(facts(before.root), facts(after.root), `seed ${seed}:\n${patch}`);
      assert.equal(compareTrees(before.root, after.root), '');
    }),
    RUNS,
  );
});

/** One random change, through the same doors as an operator. */
function edit(random: SeededRandom, tree: ConfigTree): void {
  const words = randomPath(random, tree.root);
  const choice = randomBelow(random, 4);
  if (choice === 0 && words.length > 0) applyChange(tree.root, 'delete', words);
  else if (choice === 1 && words.length > 0) applyChange(tree.root, 'deactivate', words);
  else parseText(`set ${quoteWords(randomStatement(random))}\n`, tree);
}

function randomPath(random: SeededRandom, root: ConfigNode): string[] {
  const words: string[] = [];
  for (let node: ConfigNode | undefined = root; node !== undefined && !node.isLeaf; ) {
    node = node.children[randomBelow(random, node.children.length)];
    if (node) words.push(node.word);
    if (words.length > 2 && randomBelow(random, 4) === 0) break;
  }
  return words;
}

test('random edits agree with a naive model: a set of lines', () => {
  fc.assert(
    fc.property(fc.integer(), (seed) => {
      const random = new SeededRandom(seed);
      const tree = emptyTree();
      const model = new Map<string, string[]>();
      for (let step = 0; step < 40; step++) {
        if (model.size > 0 && randomBelow(random, 3) === 0) {
          const path = [...model.values()][randomBelow(random, model.size)]?.slice(0, 2 + randomBelow(random, 4)) ?? [];
          applyChange(tree.root, 'delete', path);
          for (const [key, words] of model) if (startsWith(words, path)) model.delete(key);
        } else {
          const words = randomSimpleStatement(random);
          parseText(`set ${quoteWords(words)}\n`, tree);
          const isLeaf = placeAt(words.slice(0, -1)).schema?.kind === 'leaf';
          for (const [key, other] of model) {
            if (isLeaf && startsWith(other, words.slice(0, -1))) model.delete(key);
          }
          model.set(quoteWords(words), words);
        }
      }
      // Names of entries that lost their last statement stay, as in Junos: they are not what this model is about.
      const lines = facts(tree.root).map((line) => line.slice('set '.length));
      for (const key of model.keys()) assert.ok(lines.includes(key), `seed ${seed}: ${key} is in\n${lines.join('\n')}`);
      const values = lines.filter((line) => line.includes(' lifetime-seconds ') || line.includes(' address '));
      for (const line of values) assert.ok(model.has(line), `seed ${seed}: ${line} was deleted`);
    }),
    RUNS,
  );
});

/** Statements of which none excludes another. */
function randomSimpleStatement(random: SeededRandom): string[] {
  const name = `n${randomBelow(random, 4)}`;
  return randomBelow(random, 2) === 0
    ? ['security', 'ike', 'proposal', name, 'lifetime-seconds', String(180 + randomBelow(random, 5))]
    : ['security', 'ike', 'gateway', name, 'address', `192.0.2.${randomBelow(random, 5)}`];
}

function startsWith(words: readonly string[], prefix: readonly string[]): boolean {
  return prefix.every((word, index) => words[index] === word);
}

test('no text whatsoever makes the loader throw', () => {
  const words = [
    'set',
    'security',
    'ike',
    'gateway',
    '{',
    '}',
    ';',
    '[',
    ']',
    '"',
    '/*',
    '*/',
    '#',
    '\n',
    'inactive:',
    '<a>',
    '$9$',
    'st0.0',
  ];
  const text = fc.array(fc.oneof(fc.constantFrom(...words), fc.string({ maxLength: 6 })), { maxLength: 60 });
  fc.assert(
    fc.property(text, (parts) => {
      const loaded = loadConfiguration(parts.join(' '));
      const again = parseText(printSet(loaded.tree.root));
      assert.deepEqual(facts(again.tree.root), facts(loaded.tree.root));
    }),
    { numRuns: 2000 },
  );
});

test('texts as deep or as long as a mischievous editor makes them are refused, not followed', () => {
  const deep = 'a { '.repeat(100_000);
  const long = `set ${'a '.repeat(100_000)}`;
  const lists = `security { ike { gateway g { address [ ${'x '.repeat(100_000)}]; } } }`;
  for (const text of [
    deep,
    long,
    `${'a '.repeat(100_000)};`,
    lists,
    '<a>'.repeat(100_000),
    '/*'.repeat(100_000),
    '"'.repeat(99_999),
  ]) {
    const loaded = loadConfiguration(text);
    assert.equal(loaded.config, undefined);
    printBraces(loaded.tree.root);
  }
});
