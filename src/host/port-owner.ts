import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

export interface PortOwner {
  readonly processId: number;
  readonly name: string;
}

const INODE_COLUMN = 9;

/** The process of this host that has a UDP port, if /proc lets us see it; for error messages only. */
export function findUdpPortOwner(port: number): PortOwner | undefined {
  const sockets = new Set([...inodesOfPort('/proc/net/udp', port), ...inodesOfPort('/proc/net/udp6', port)]);
  if (sockets.size === 0) return undefined;
  for (const entry of list('/proc')) {
    if (!/^\d+$/.test(entry)) continue;
    const holds = list(`/proc/${entry}/fd`).some((descriptor) => {
      const target = attempt(() => readlinkSync(`/proc/${entry}/fd/${descriptor}`)) ?? '';
      return target.startsWith('socket:[') && sockets.has(target.slice(8, -1));
    });
    if (holds) return { processId: Number(entry), name: (read(`/proc/${entry}/comm`) ?? '').trim() };
  }
  return undefined;
}

function inodesOfPort(table: string, port: number): readonly string[] {
  const suffix = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  const rows = (read(table) ?? '').split('\n').map((row) => row.trim().split(/\s+/));
  return rows.filter((columns) => columns[1]?.endsWith(suffix)).map((columns) => columns[INODE_COLUMN] ?? '');
}

function read(path: string): string | undefined {
  return attempt(() => readFileSync(path, 'utf8'));
}

function list(path: string): readonly string[] {
  return attempt(() => readdirSync(path)) ?? [];
}

// Processes come and go, and some are not ours to look into: neither is worth an error.
function attempt<T>(action: () => T): T | undefined {
  try {
    return action();
  } catch {
    return undefined;
  }
}
