// The configurations of the handshake and memory benchmarks: one responder, and many peers that are configured one by one, each with
// its own address, key and network. The same choices in Junos' language for us and in strongSwan's for charon.

import { loadConfiguration } from '../src/config/load.ts';
import { Secret } from '../src/lib/secret.ts';
import { address, type IpAddress, parsePrefix } from '../src/model/address.ts';
import type { GatewayConfig } from '../src/model/gateway-config.ts';
import { selectorFromPrefix } from '../src/model/traffic-selector.ts';

export type BenchGroup = 'group14' | 'group19';

/** All addresses are of the network that RFC 2544 sets aside for benchmarks: 198.18.0.0/16 is the peers', the other half is the responders'. */
export const PEER_NETWORK = '198.18.0.0/16';
const RESPONDER_LAN = '172.16.0.0/16';
const STRONGSWAN_GROUP: Readonly<Record<BenchGroup, string>> = { group14: 'modp2048', group19: 'ecp256' };

/** The responder with this number, from 0, has a /24 of its own; the way to the peers leads through the second address of it. */
export function responderAddress(number: number): IpAddress {
  return address(`198.19.${number}.1`);
}

/** The address of the peer with this number, from 0. */
export function peerAddress(index: number): IpAddress {
  const host = index + 1;
  return address(`198.18.${host >> 8}.${host & 0xff}`);
}

/** The responder's side in Junos' language, with a gateway and a VPN for each peer. */
export function responderText(local: IpAddress, peerCount: number, group: BenchGroup): string {
  const lines = [
    `set interfaces ge-0/0/0 unit 0 family inet address ${local}/24`,
    'set interfaces st0 unit 0 family inet',
    'set security ike session half-open max-count 1000',
    ...proposals(group),
  ];
  for (let index = 0; index < peerCount; index++) {
    lines.push(
      ...peerLines(`peer${index}`, pskOf(index), peerAddress(index)),
      `set security ipsec vpn peer${index} traffic-selector lan local-ip ${RESPONDER_LAN}`,
      `set security ipsec vpn peer${index} traffic-selector lan remote-ip ${lanOf(index)}`,
    );
  }
  return `${lines.join('\n')}\n`;
}

/** The responder's side, compiled. */
export function responderConfig(local: IpAddress, peerCount: number, group: BenchGroup): GatewayConfig {
  return compile(responderText(local, peerCount, group));
}

/** Makes the configurations of single peers of a responder. */
export function peerConfigs(responder: IpAddress, group: BenchGroup): (index: number) => GatewayConfig {
  const { gateways, vpns, ...rest } = compile(
    [
      `set interfaces ge-0/0/0 unit 0 family inet address ${peerAddress(0)}/16`,
      'set interfaces st0 unit 0 family inet',
      ...proposals(group),
      ...peerLines('hub', pskOf(0), responder),
      `set security ipsec vpn hub traffic-selector lan local-ip ${lanOf(0)}`,
      `set security ipsec vpn hub traffic-selector lan remote-ip ${RESPONDER_LAN}`,
    ].join('\n'),
  );
  // Compiled once and changed for each peer: compiling thousands of texts would take longer than the handshakes.
  return (index) => ({
    ...rest,
    gateways: gateways.map((gateway) => ({
      ...gateway,
      localAddress: peerAddress(index),
      policy: { ...gateway.policy, preSharedKey: new Secret(new TextEncoder().encode(pskOf(index))) },
    })),
    vpns: vpns.map((vpn) => ({
      ...vpn,
      selectors: vpn.selectors.map((selector) => ({ ...selector, local: lanSelector(index) })),
    })),
  });
}

/** The responder's side in strongSwan's language: a connection for `each` peer, or one that takes `any`. */
export function swanctlText(local: IpAddress, peerCount: number, group: BenchGroup, shape: 'each' | 'any'): string {
  const indexes = Array.from({ length: peerCount }, (_, index) => index);
  const connections =
    shape === 'any'
      ? [swanctlConnection(local, 'any', '%any', '10.0.0.0/8', group)]
      : indexes.map((index) => swanctlConnection(local, `peer${index}`, peerAddress(index), lanOf(index), group));
  const secrets = indexes.map(
    (index) => `  ike-peer${index} {
    id = "${peerAddress(index)}"
    secret = "${pskOf(index)}"
  }`,
  );
  return `connections {\n${connections.join('\n')}\n}\nsecrets {\n${secrets.join('\n')}\n}\n`;
}

function swanctlConnection(local: string, name: string, remote: string, remoteLan: string, group: BenchGroup): string {
  return `  ${name} {
    version = 1
    local_addrs = ${local}
    remote_addrs = ${remote}
    proposals = aes128-sha256-${STRONGSWAN_GROUP[group]}
    local {
      auth = psk
      id = "${local}"
    }
    remote {
      auth = psk
      id = "${remote}"
    }
    children {
      net {
        local_ts = ${RESPONDER_LAN}
        remote_ts = ${remoteLan}
        esp_proposals = aes128-sha256
      }
    }
  }`;
}

function proposals(group: BenchGroup): readonly string[] {
  return [
    'set security ike proposal p1 authentication-method pre-shared-keys',
    `set security ike proposal p1 dh-group ${group}`,
    'set security ike proposal p1 authentication-algorithm sha-256',
    'set security ike proposal p1 encryption-algorithm aes-128-cbc',
    'set security ipsec proposal p2 protocol esp',
    'set security ipsec proposal p2 encryption-algorithm aes-128-cbc',
    'set security ipsec proposal p2 authentication-algorithm hmac-sha-256-128',
    'set security ipsec policy traffic proposals p2',
  ];
}

function peerLines(name: string, psk: string, remoteAddress: string): readonly string[] {
  return [
    `set security ike policy ${name} mode main`,
    `set security ike policy ${name} proposals p1`,
    `set security ike policy ${name} pre-shared-key ascii-text "${psk}"`,
    `set security ike gateway ${name} ike-policy ${name}`,
    `set security ike gateway ${name} address ${remoteAddress}`,
    `set security ike gateway ${name} external-interface ge-0/0/0.0`,
    `set security ike gateway ${name} version v1-only`,
    `set security ipsec vpn ${name} bind-interface st0.0`,
    `set security ipsec vpn ${name} ike gateway ${name}`,
    `set security ipsec vpn ${name} ike ipsec-policy traffic`,
  ];
}

function pskOf(index: number): string {
  return `between the hub and peer ${index}`;
}

function lanOf(index: number): string {
  return `10.${(index >> 8) & 0xff}.${index & 0xff}.0/24`;
}

function lanSelector(index: number) {
  const prefix = parsePrefix(lanOf(index));
  if (!prefix) throw new Error('unreachable');
  return selectorFromPrefix(prefix);
}

function compile(text: string): GatewayConfig {
  const { config, diagnostics } = loadConfiguration(text);
  if (config) return config;
  const errors = diagnostics.filter(({ severity }) => severity === 'error').slice(0, 5);
  throw new Error(errors.map(({ line, message }) => `line ${line}: ${message}`).join('; '));
}
