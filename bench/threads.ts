import { readdirSync, readFileSync } from 'node:fs';

/** A thread of a process, as it was when it was looked at. */
export interface Thread {
  /** Ticks of a processor that it had used. */
  readonly processorTime: number;
  readonly wakeUpsBefore: number;
  /** How often it has gone to sleep by itself until now, which is how often it was awake; as before, if it has ended. */
  wakeUps(): number;
}

/** All threads of a process. */
export function threadsOf(processId: number): readonly Thread[] {
  return readdirSync(`/proc/${processId}/task`).map((id) => {
    const folder = `/proc/${processId}/task/${id}`;
    const wakeUpsBefore = switchesIn(folder) ?? 0;
    return {
      processorTime: processorTimeIn(folder),
      wakeUpsBefore,
      wakeUps: () => switchesIn(folder) ?? wakeUpsBefore,
    };
  });
}

/** The thread that carries packets, told by its work: Node 20 gives all its threads one name. Call it after some load. */
export function engineThread(threads: readonly Thread[]): Thread | undefined {
  return [...threads].sort((a, b) => b.processorTime - a.processorTime)[0];
}

function switchesIn(folder: string): number | undefined {
  try {
    const status = readFileSync(`${folder}/status`, 'utf8');
    return Number(/^voluntary_ctxt_switches:\s+(\d+)/m.exec(status)?.[1] ?? 0);
  } catch {
    return undefined;
  }
}

/** proc_pid_stat(5): user and system time are the twelfth and thirteenth field behind the name, which may hold anything. */
function processorTimeIn(folder: string): number {
  const text = readFileSync(`${folder}/stat`, 'utf8');
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return Number(fields[11]) + Number(fields[12]);
}
