import type { Result } from '../lib/result.ts';

/** Where configurations are kept. Names are plain file names. The host implements it; tests have one in memory. */
export interface ConfigurationStorage {
  /** The text of a file; `undefined` if there is none. Fails if it cannot be read. */
  read(name: string): Result<string | undefined, string>;
  /**
   * Replaces a file. Once it returns without fault, the new text survives a power cut; whatever happens in between, the file holds
   * the old text or the new one, whole.
   */
  replace(name: string, text: string): Result<undefined, string>;
  /** Removes a file, if it is there. */
  remove(name: string): Result<undefined, string>;
  names(): Result<readonly string[], string>;
}
