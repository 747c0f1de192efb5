#!/usr/bin/env node
// The one executable: each subcommand is a function of its arguments that says how the process ends.

import { checkCommand } from './check-command.ts';
import { cleanupCommand } from './cleanup-command.ts';
import { convertCommand } from './convert-command.ts';
import { decodeCommand } from './decode-command.ts';
import { labCommand } from './lab-command.ts';
import { operatorCommand } from './operator-command.ts';
import { runCommand } from './run-command.ts';
import { simulateCommand } from './simulate-command.ts';
import { UsageError } from './usage-error.ts';
import { readVersion } from './version.ts';

const USAGE = `sallyport: an IPsec VPN gateway that speaks Juniper SRX configuration

  sallyport run -c FILE          run the gateway in the foreground
      --interface-map A=B          Junos interface A is the Linux interface B (may be repeated)
      --engines N                  threads that carry packets, 1 to 8 (default: one for every two processors)
      --log-format text|json       one line an event (default text)
      --log-level LEVEL            debug, info, warning or error (default info)
      --control PATH               the operator's socket (default /run/sallyport/control)
  sallyport check FILE           read a configuration and say what is wrong with it
      --json                       the same as JSON
  sallyport convert FILE         print a configuration in the other form
      --to set|braces|json|xml   (default set)
  sallyport show …, clear …      ask a running gateway, in Junos' words:
                                   show security ike security-associations [detail]
                                   show security ipsec security-associations [detail]
                                   show security ipsec statistics [index N] [detail]
                                   clear security ike security-associations [ADDRESS]
                                   clear security ipsec security-associations
      --control PATH, --json
  sallyport decode FILE          say what is in a capture (pcap, pcapng) of IKE and IPsec
  sallyport lab                  two offices and a tunnel, on this machine, until Ctrl-C
      --once, --json               once only, with the result as the exit status
  sallyport simulate --seed N    the same gateways on a simulated, faulty network
  sallyport cleanup              remove the routes that a stopped gateway left, to drop what belongs into its tunnels
  sallyport version, help
`;

/** Resolves with the exit status. */
type Command = (words: readonly string[]) => Promise<number>;

const COMMANDS: Readonly<Record<string, Command>> = {
  run: runCommand,
  check: checkCommand,
  convert: convertCommand,
  show: (words) => operatorCommand(['show', ...words]),
  clear: (words) => operatorCommand(['clear', ...words]),
  decode: decodeCommand,
  lab: labCommand,
  simulate: simulateCommand,
  cleanup: cleanupCommand,
  version: async () => print(`sallyport ${readVersion()} on Node ${process.version}\n`),
  help: async () => print(USAGE),
};

process.exitCode = await main(process.argv.slice(2));

async function main(words: readonly string[]): Promise<number> {
  const [name = 'help', ...rest] = words;
  const asked = { '--help': 'help', '-h': 'help', '--version': 'version' }[name] ?? name;
  const command = COMMANDS[asked];
  if (command === undefined) {
    process.stderr.write(`sallyport: there is no command ${name}; sallyport help lists them\n`);
    return 2;
  }
  try {
    return await command(rest);
  } catch (error) {
    process.stderr.write(`sallyport ${name}: ${error instanceof Error ? error.message : String(error)}\n`);
    return error instanceof UsageError ? 2 : 1;
  }
}

function print(text: string): number {
  process.stdout.write(text);
  return 0;
}
