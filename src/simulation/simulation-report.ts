import type { FabricCounters } from './fabric.ts';
import type { SimulationParameters } from './parameters.ts';
import type { SiteTraffic } from './traffic.ts';

/** What a run was like and what it found; plain data. Times are seconds of virtual time since the start. */
export interface SimulationReport {
  readonly seed: number;
  /** The bound that `parameters` were drawn under: part of what makes a run repeatable. */
  readonly lossMax: number;
  readonly parameters: SimulationParameters;
  readonly virtualSeconds: number;
  readonly faultsUntilSeconds: number;
  /** When the first inner packet came through, if one did. */
  readonly tunnelUpAtSeconds?: number;
  /** From the end of the faults until traffic had come through everywhere, both ways. */
  readonly recoveredAfterSeconds?: number;
  readonly recoveryDeadlineSeconds: number;
  readonly network: FabricCounters;
  /** Packets that an attacker on the path has put on the wire. */
  readonly attacks: number;
  readonly traffic: Readonly<Record<string, SiteTraffic>>;
  /** Traffic after the recovery: nothing of it may be lost, rekeys or not. */
  readonly calmTraffic: Readonly<Record<string, SiteTraffic>>;
  readonly negotiations: {
    readonly ikeSas: number;
    readonly ipsecSas: number;
    readonly rekeys: number;
    readonly failed: number;
  };
  /** The most that either host had at a time. */
  readonly stateMax: { readonly ikeSas: number; readonly ipsecSas: number; readonly inboundSas: number };
  /** What must not have happened; empty if all is well. */
  readonly violations: readonly string[];
}

/** The report for people. A violation comes with the command that shows it again. */
export function renderReport(report: SimulationReport): string {
  const { network, traffic, negotiations, stateMax } = report;
  const lost = Object.entries(network.lost).map(([reason, count]) => `${count} ${reason}`);
  const lines = [
    `seed ${report.seed}: ${report.virtualSeconds} virtual seconds, faults during the first ${report.faultsUntilSeconds}`,
    `  parameters    ${JSON.stringify(report.parameters)}`,
    `  network       ${network.sent} packets sent, ${network.delivered} delivered, ${network.duplicated} duplicated, ` +
      `${network.corrupted} corrupted${lost.length === 0 ? '' : `, ${lost.join(', ')}`}, ${report.attacks} by an attacker`,
    `  negotiations  ${negotiations.ikeSas} IKE SAs, ${negotiations.ipsecSas} IPsec SA pairs, ${negotiations.rekeys} rekeys, ` +
      `${negotiations.failed} failed`,
    `  state         at most ${stateMax.ikeSas} IKE SAs, ${stateMax.ipsecSas} IPsec SA pairs a host`,
    `  traffic       ${formatTraffic(traffic)}`,
    `  tunnels       ${formatTunnel(report)}`,
    `  after that    ${formatTraffic(report.calmTraffic)}`,
  ];
  if (report.violations.length === 0) return [...lines, '  all checks passed'].join('\n');
  for (const violation of report.violations) lines.push(`  VIOLATION     ${violation}`);
  return [...lines, `  replay        ${replayCommand(report)}`].join('\n');
}

/** The command that runs the same simulation again. */
function replayCommand(report: SimulationReport): string {
  const { seed, faultsUntilSeconds, lossMax } = report;
  return `sallyport simulate --seed ${seed} --seconds ${faultsUntilSeconds} --loss ${Math.round(lossMax * 100)}`;
}

function formatTraffic(traffic: Readonly<Record<string, SiteTraffic>>): string {
  return Object.entries(traffic)
    .map(([site, { sent, received }]) => `${received} of ${sent} from ${site}`)
    .join(', ');
}

function formatTunnel(report: SimulationReport): string {
  const up = report.tunnelUpAtSeconds === undefined ? 'never up' : `up after ${report.tunnelUpAtSeconds.toFixed(1)} s`;
  const recovered =
    report.recoveredAfterSeconds === undefined
      ? 'not recovered'
      : `recovered ${report.recoveredAfterSeconds.toFixed(1)} s after the faults`;
  return `${up}, ${recovered} (allowed: ${report.recoveryDeadlineSeconds} s)`;
}
