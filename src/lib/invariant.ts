/** Stops the process when a promise that this program made to itself is broken. Never for what a peer or an operator did. */
export function invariant(condition: boolean, promise: string): asserts condition {
  if (!condition) throw new Error(`invariant broken: ${promise}`);
}

/** Marks a branch that the types say cannot be reached. */
export function unreachable(value: never): never {
  throw new Error(`invariant broken: unexpected ${JSON.stringify(value)}`);
}
