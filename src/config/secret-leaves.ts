import type { RandomSource } from '../lib/random.ts';
import { ConfigNode } from './config-node.ts';
import { encodeSecret, isEncodedSecret } from './secret-text.ts';
import { type Place, placeBelow, TOP } from './statement-view.ts';

/** Writes every secret that stands in clear as `$9$`, as Junos does when one is set, so that no `show` prints one. */
export function concealSecrets(root: ConfigNode, random: RandomSource): void {
  conceal(root, TOP, random);
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
