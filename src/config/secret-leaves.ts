import type { RandomSource } from '../lib/random.ts';
import { ConfigNode } from './config-node.ts';
import { encodeSecret, isEncodedSecret } from './secret-text.ts';
import { type Place, placeBelow, TOP } from './statement-view.ts';

/**
 * Writes every secret that stands in clear as `$9$`, as Junos does when one is set, so that no `show` prints one. Looks only where a
 * statement at `path` may have put one.
 */
export function concealSecrets(root: ConfigNode, random: RandomSource, path: readonly string[] = []): void {
  let node = root;
  let place = TOP;
  // A secret is the value of a leaf: the container or entry that the leaf is in must still be walked as a whole.
  for (const word of path) {
    const below = node.child(word);
    const inside = placeBelow(place, word);
    if (below === undefined || inside.schema === undefined || inside.schema.isSecret) break;
    node = below;
    place = inside;
  }
  conceal(node, place, random);
}

function conceal(node: ConfigNode, place: Place, random: RandomSource): void {
  const { schema } = place;
  if (schema === undefined) return;
  if (schema.isSecret && place.among === 'statements') {
    const value = node.children[0];
    if (value && !isEncodedSecret(value.word))
      node.replace(value, new ConfigNode(concealed(value.word, random), value.line));
    return;
  }
  for (const child of node.children) conceal(child, placeBelow(place, child.word), random);
}

function concealed(secret: string, random: RandomSource): string {
  // Characters that `$9$` has no room for stay as they are: a secret that reads wrong is worse than one that reads.
  return [...secret].every((character) => character.length === 1 && character.charCodeAt(0) <= 0xff)
    ? encodeSecret(secret, random)
    : secret;
}
