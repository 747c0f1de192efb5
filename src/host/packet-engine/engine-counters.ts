import type { EngineCounterName } from './messages.ts';

/** What the engine itself has done and dropped, by cause. */
export class EngineTally {
  readonly #counts: Record<EngineCounterName, number> = {
    'tunnel-read': 0,
    'tunnel-written': 0,
    'tunnel-write-refused': 0,
    'tunnel-queue-full': 0,
    'tunnel-malformed': 0,
    'tunnel-missing': 0,
    'socket-received': 0,
    'socket-sent': 0,
    'socket-send-refused': 0,
    'socket-buffer-full': 0,
    'socket-too-big': 0,
    'socket-missing': 0,
    'ike-received': 0,
    'keepalive-received': 0,
    'malformed-received': 0,
  };

  count(name: EngineCounterName, by = 1): void {
    this.#counts[name] += by;
  }

  snapshot(): Readonly<Record<EngineCounterName, number>> {
    return { ...this.#counts };
  }
}
