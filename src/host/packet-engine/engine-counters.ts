import { ENGINE_COUNTERS, type EngineCounterName } from './messages.ts';

/** What the engine itself has done and dropped, by cause. */
export class EngineTally {
  readonly #counts = Object.fromEntries(ENGINE_COUNTERS.map((name) => [name, 0])) as Record<EngineCounterName, number>;

  count(name: EngineCounterName, by = 1): void {
    this.#counts[name] += by;
  }

  snapshot(): Readonly<Record<EngineCounterName, number>> {
    return { ...this.#counts };
  }
}
