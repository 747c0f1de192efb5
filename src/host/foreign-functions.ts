// FFI itself: without it there are no TUN devices and no raw sockets, and so no gateway; everything else of Sallyport works all the same.

import { createRequire } from 'node:module';
import type koffi from 'koffi';

type ForeignFunctions = typeof koffi;

let obstacle: string | undefined;

/** The package that calls native functions; `undefined` where it is not installed, or has no binary for this machine. */
export const foreignFunctions: ForeignFunctions | undefined = load();

/** Why no native function can be called here, in words, or `undefined` if they can. */
export function whyNoForeignFunctions(): string | undefined {
  return obstacle;
}

function load(): ForeignFunctions | undefined {
  try {
    return createRequire(import.meta.url)('koffi');
  } catch (error) {
    const [reason] = (error instanceof Error ? error.message : String(error)).split('\n');
    obstacle = `the package koffi does not load, which system calls are made through (npm install): ${reason}`;
    return undefined;
  }
}
