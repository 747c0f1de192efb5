// Just enough of WebAssembly's binary format (WebAssembly Core Specification 2.0, §5) to write down a handful of loops over octets with
// 128-bit vectors. Assembled when the program starts: a hundred lines here, instead of a compiler in the build.

/** Octets of code. */
export type Code = readonly number[];

/** An `i32` function: its parameters, its further locals, and its body, which leaves one `i32`. */
export interface WasmFunction {
  readonly name: string;
  readonly parameterCount: number;
  /** Locals behind the parameters, `i32` first, then `v128`. */
  readonly i32Locals: number;
  readonly v128Locals: number;
  readonly body: Code;
}

const I32 = 0x7f;
const V128 = 0x7b;

/** A module that imports its memory as `host.memory`, of at least one page and at most `pagesMax`, and exports the functions. */
export function assembleModule(pagesMax: number, functions: readonly WasmFunction[]): Uint8Array {
  const types = functions.map((one) => [
    0x60,
    ...vector(Array.from({ length: one.parameterCount }, () => [I32])),
    ...vector([[I32]]),
  ]);
  const memory = [...text('host'), ...text('memory'), 0x02, 0x01, ...unsigned(1), ...unsigned(pagesMax)];
  const exports = functions.map((one, index) => [...text(one.name), 0x00, ...unsigned(index)]);
  const bodies = functions.map((one) => {
    const locals = [
      [...unsigned(one.i32Locals), I32],
      [...unsigned(one.v128Locals), V128],
    ];
    const code = [...vector(locals), ...one.body, 0x0b];
    return [...unsigned(code.length), ...code];
  });
  return Uint8Array.from([
    ...[0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00],
    ...section(1, types),
    ...section(2, [memory]),
    ...section(
      3,
      functions.map((_, index) => unsigned(index)),
    ),
    ...section(7, exports),
    ...section(10, bodies),
  ]);
}

export const get = (local: number): Code => [0x20, ...unsigned(local)];
export const set = (local: number, value: Code): Code => [...value, 0x21, ...unsigned(local)];
export const constant = (value: number): Code => [0x41, ...signed(value)];
export const add = (a: Code, b: Code): Code => [...a, ...b, 0x6a];
export const subtract = (a: Code, b: Code): Code => [...a, ...b, 0x6b];
export const and = (a: Code, b: Code): Code => [...a, ...b, 0x71];
export const shiftRight = (a: Code, bits: number): Code => [...a, ...constant(bits), 0x76];
export const isAtLeast = (a: Code, b: Code): Code => [...a, ...b, 0x4f];
export const load8 = (address: Code): Code => [...address, 0x2d, 0x00, 0x00];
export const load16 = (address: Code): Code => [...address, 0x2f, 0x00, 0x00];
export const store8 = (address: Code, value: Code): Code => [...address, ...value, 0x3a, 0x00, 0x00];
export const store16 = (address: Code, value: Code): Code => [...address, ...value, 0x3b, 0x00, 0x00];
export const loadVector = (address: Code, offset: number): Code => [...address, 0xfd, 0x00, 0x00, ...unsigned(offset)];
export const storeVector = (address: Code, offset: number, value: Code): Code => [
  ...address,
  ...value,
  ...[0xfd, 0x0b, 0x00],
  ...unsigned(offset),
];
/** Adds the four lanes of `b` to those of `a`. */
export const addLanes = (a: Code, b: Code): Code => [...a, ...b, 0xfd, ...unsigned(0xae)];
/** Eight unsigned 16-bit numbers, added by pairs into four 32-bit ones. */
export const sumPairs = (value: Code): Code => [...value, 0xfd, ...unsigned(0x7f)];
export const lane = (value: Code, index: number): Code => [...value, 0xfd, 0x1b, index];
/** Runs `body` while `condition` holds. */
export const whileTrue = (condition: Code, body: Code): Code => [
  ...[0x02, 0x40, 0x03, 0x40],
  ...condition,
  ...[0x45, 0x0d, 0x01],
  ...body,
  ...[0x0c, 0x00, 0x0b, 0x0b],
];
export const when = (condition: Code, body: Code): Code => [...condition, 0x04, 0x40, ...body, 0x0b];

function section(id: number, entries: readonly Code[]): Code {
  const content = vector(entries);
  return [id, ...unsigned(content.length), ...content];
}

function vector(entries: readonly Code[]): Code {
  return [...unsigned(entries.length), ...entries.flat()];
}

function text(value: string): Code {
  return [...unsigned(value.length), ...Array.from(value, (letter) => letter.charCodeAt(0))];
}

/** LEB128 of a number that is not negative. */
function unsigned(value: number): Code {
  const octets: number[] = [];
  do {
    const low = value & 0x7f;
    value >>>= 7;
    octets.push(value === 0 ? low : low | 0x80);
  } while (value !== 0);
  return octets;
}

/** LEB128 of a signed 32-bit number. */
function signed(value: number): Code {
  const octets: number[] = [];
  for (;;) {
    const low = value & 0x7f;
    value >>= 7;
    const isLast = (value === 0 && (low & 0x40) === 0) || (value === -1 && (low & 0x40) !== 0);
    octets.push(isLast ? low : low | 0x80);
    if (isLast) return octets;
  }
}
