// `sallyport decode FILE`: what is in a capture of IKE and IPsec, in words.

import { readFileSync } from 'node:fs';
import { describeCapture } from '../src/diagnosis/capture.ts';
import { parseArguments, UsageError } from './usage-error.ts';

/** 0 if the file is a capture. */
export async function decodeCommand(words: readonly string[]): Promise<number> {
  const { positionals } = parseArguments({ args: [...words], options: {}, allowPositionals: true });
  const [path] = positionals;
  if (path === undefined) throw new UsageError('FILE is required: a capture in pcap or pcapng form');
  const described = describeCapture(readFileSync(path));
  if (!described.ok) throw new Error(`${path} is not a capture that can be read: ${described.error}`);
  process.stdout.write(`${described.value}\n`);
  return 0;
}
