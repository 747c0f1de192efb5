// TypeScript describes WebAssembly together with the browser's DOM, which this program has not: this is the part that it uses.

export interface WasmMemory {
  readonly buffer: ArrayBuffer;
}

interface WasmModule {
  readonly exports?: never;
}

interface WebAssemblyInterface {
  readonly Memory: new (limits: { readonly initial: number; readonly maximum: number }) => WasmMemory;
  readonly Module: new (bytes: Uint8Array) => WasmModule;
  readonly Instance: new (
    module: WasmModule,
    imports: Readonly<Record<string, Readonly<Record<string, unknown>>>>,
  ) => { readonly exports: Readonly<Record<string, unknown>> };
  validate(bytes: Uint8Array): boolean;
}

declare global {
  var WebAssembly: WebAssemblyInterface;
}
