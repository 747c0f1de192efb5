import { spawnSync } from 'node:child_process';
import { equalBytes } from '../../../src/lib/bytes.ts';

/** How the payload of a kernel image starts, and what unpacks it. */
const COMPRESSIONS: readonly { readonly magic: Uint8Array; readonly command: readonly [string, ...string[]] }[] = [
  { magic: Uint8Array.of(0x28, 0xb5, 0x2f, 0xfd), command: ['zstd', '-dc'] },
  { magic: Uint8Array.of(0xfd, 0x37, 0x7a, 0x58), command: ['xz', '-dc', '--single-stream'] },
  { magic: Uint8Array.of(0x1f, 0x8b), command: ['gzip', '-dc'] },
];

const SECTOR_LENGTH = 512;
const SETUP_SECTORS_AT = 0x1f1;
const PAYLOAD_OFFSET_AT = 0x248;
const PAYLOAD_LENGTH_AT = 0x24c;

/**
 * The ELF kernel out of a bzImage (Linux' Documentation/arch/x86/boot.rst): started directly, it skips a decompressor that takes long
 * under emulation. Throws on anything else.
 */
export function unpackKernel(image: Uint8Array): Uint8Array {
  const view = new DataView(image.buffer, image.byteOffset, image.byteLength);
  const setup = ((view.getUint8(SETUP_SECTORS_AT) || 4) + 1) * SECTOR_LENGTH;
  const start = setup + view.getUint32(PAYLOAD_OFFSET_AT, true);
  const payload = image.subarray(start, start + view.getUint32(PAYLOAD_LENGTH_AT, true));
  // Its last four octets are the length of what comes out.
  const length = new DataView(payload.buffer, payload.byteOffset + payload.length - 4).getUint32(0, true);
  const found = COMPRESSIONS.find(({ magic }) => equalBytes(payload.subarray(0, magic.length), magic));
  if (!found) throw new Error('the kernel is compressed in a way that is not known here');
  const [program, ...args] = found.command;
  const { stdout } = spawnSync(program, args, { input: payload.subarray(0, -4), maxBuffer: 512 * 1024 * 1024 });
  const kernel = stdout.subarray(0, length);
  if (!equalBytes(kernel.subarray(0, 4), Uint8Array.of(0x7f, 0x45, 0x4c, 0x46)))
    throw new Error(`${program} gave no ELF file`);
  return kernel;
}
