import { err, ok, type Result } from '../lib/result.ts';
import { type OperationalCommand, parseCommand } from './command-grammar.ts';
import type { GatewayView } from './gateway-view.ts';
import { renderIkeSaDetails, renderIkeSas } from './show-ike.ts';
import {
  renderDropCauses,
  renderIpsecSaDetails,
  renderIpsecSas,
  renderIpsecStatistics,
  tunnelPolicy,
} from './show-ipsec.ts';

/** What a command gives back: text as Junos prints it, and the same as plain data. */
export interface CommandOutput {
  readonly text: string;
  readonly value: unknown;
}

/** Carries out one operator's command. The error is a sentence for the operator; nothing was changed then. */
export function executeCommand(words: readonly string[], view: GatewayView): Result<CommandOutput, string> {
  const parsed = parseCommand(words);
  return parsed.ok ? ok(execute(parsed.value, view)) : err(parsed.error);
}

function execute(command: OperationalCommand, view: GatewayView): CommandOutput {
  const isDetail = command.level === 'detail';
  switch (command.kind) {
    case 'show-ike-sas': {
      const sas = view
        .ikeSas()
        .filter((sa) => command.index === undefined || sa.index === command.index)
        .filter((sa) => command.remoteAddress === undefined || sa.path.remote.address === command.remoteAddress);
      return { text: isDetail ? renderIkeSaDetails(sas) : renderIkeSas(sas), value: sas };
    }
    case 'show-ipsec-sas': {
      const sas = view.ipsecSas().filter((sa) => command.vpn === undefined || sa.vpn === command.vpn);
      const text = isDetail
        ? renderIpsecSaDetails(sas, view.policies(), (vpn) => view.tunnelEvents(vpn))
        : renderIpsecSas(sas, view.policies());
      return { text, value: sas };
    }
    case 'show-ipsec-statistics': {
      const { index } = command;
      const policy = index === undefined ? undefined : tunnelPolicy(index, view.policies());
      if (index !== undefined && policy === undefined)
        return { text: `There is no tunnel ${index}\n`, value: undefined };
      const totals = view.statistics(policy);
      const causes = command.level === 'detail' ? renderDropCauses(totals) : '';
      return { text: renderIpsecStatistics(totals) + causes, value: totals };
    }
    case 'clear-ike-sas': {
      const { index, remoteAddress } = command;
      const filter = {
        ...(index === undefined ? {} : { index }),
        ...(remoteAddress === undefined ? {} : { remoteAddress }),
      };
      return { text: '', value: view.clearIke(filter) };
    }
    case 'clear-ipsec-sas':
      return { text: '', value: view.clearIpsec(command.vpn === undefined ? {} : { vpn: command.vpn }) };
  }
}
