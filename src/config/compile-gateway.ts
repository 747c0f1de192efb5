// `security ike gateway` to the model.

import { utf8 } from '../lib/bytes.ts';
import { seconds } from '../lib/time.ts';
import { addressFamily, type IpAddress, parseAddress } from '../model/address.ts';
import type { DeadPeerDetectionConfig, IkeGatewayConfig } from '../model/gateway-config.ts';
import type { Identity } from '../model/identity.ts';
import type { Compilation, Statement } from './compilation.ts';
import { interfaceAddress } from './compile-network.ts';
import type { PolicyCompiler } from './compile-policy.ts';
import { compileXauth } from './compile-xauth.ts';
import { splitInterface } from './value-check.ts';

const NAT_KEEPALIVE_DEFAULT = 20;
const DPD_INTERVAL_DEFAULT = 10;
const DPD_THRESHOLD_DEFAULT = 5;
/** RFC 791: every IPv4 host takes a datagram of this many octets; Junos' default for a fragment. */
const FRAGMENT_SIZE_IPV4_DEFAULT = 576;
const FRAGMENT_SIZE_IPV6_DEFAULT = 1280;

/** A gateway in the model; `undefined` if it lacks something that it cannot be without, which is then reported. */
export function compileGateway(
  compilation: Compilation,
  policies: PolicyCompiler,
  statement: Statement,
): IkeGatewayConfig | undefined {
  const policyName = statement.value('ike-policy');
  const external = statement.value('external-interface');
  const policy = policyName === undefined ? undefined : policies.policy(policyName);
  const peers = statement.words('address');
  const isDynamic = statement.has('dynamic');
  if (peers.length === 0 && !isDynamic) {
    compilation.error(statement, 'address is required (or dynamic)', `set ${statement.path} address <peer address>`);
  }
  if (policy === undefined || external === undefined || (peers.length === 0 && !isDynamic)) return undefined;
  const remoteAddresses = peers.flatMap((peer) => parseAddress(peer) ?? []);
  const remoteIdentity = isDynamic
    ? dynamicIdentity(compilation, statement)
    : identity(statement.at('remote-identity'));
  const localIdentity = identity(statement.at('local-identity'));
  const localAddress = findLocalAddress(compilation, statement, external, remoteAddresses[0]);
  const deadPeerDetection = compileDpd(statement.at('dead-peer-detection'));
  const xauth = compileXauth(compilation, statement);
  const fragmentSize = fragment(statement.at('fragmentation'), remoteAddresses[0]);
  return {
    name: statement.name,
    origin: statement.origin,
    version: statement.value('version') === 'v2-only' ? 'v2-only' : 'v1-only',
    policy,
    remoteAddresses,
    remoteHostNames: peers.filter((peer) => parseAddress(peer) === undefined),
    isDynamic,
    externalInterface: withUnit(external),
    acceptsAnyIdentity: statement.has('general-ikeid') || statement.has('dynamic', 'general-ikeid'),
    natTraversal: !statement.has('no-nat-traversal'),
    natKeepalive: seconds(statement.count('nat-keepalive') ?? NAT_KEEPALIVE_DEFAULT),
    ...(localAddress !== undefined && { localAddress }),
    ...(localIdentity && { localIdentity }),
    ...(remoteIdentity && { remoteIdentity }),
    ...(deadPeerDetection && { deadPeerDetection }),
    ...(xauth && { xauth }),
    ...(fragmentSize !== undefined && { fragmentSize }),
  };
}

function withUnit(name: string): string {
  const { device, unit } = splitInterface(name);
  return `${device}.${unit}`;
}

function findLocalAddress(
  compilation: Compilation,
  gateway: Statement,
  external: string,
  peer: IpAddress | undefined,
): IpAddress | undefined {
  const family = peer === undefined ? 4 : addressFamily(peer);
  const local = gateway.at('local-address');
  const said = local?.node.firstWord === undefined ? undefined : parseAddress(local.node.firstWord);
  if (local && said !== undefined) {
    if (peer !== undefined && addressFamily(said) !== family) {
      compilation.error(local, `local-address ${said} and peer ${peer} are of different families`);
    }
    return said;
  }
  return interfaceAddress(compilation.root, external, family);
}

/** `local-identity` and `remote-identity`; a distinguished name is refused elsewhere, as certificates are not supported. */
function identity(statement: Statement | undefined): Identity | undefined {
  if (statement === undefined) return undefined;
  const inet = statement.value('inet') ?? statement.value('inet6');
  const parsed = inet === undefined ? undefined : parseAddress(inet);
  if (parsed !== undefined) return { kind: 'address', address: parsed };
  const hostName = statement.value('hostname');
  if (hostName !== undefined) return { kind: 'fqdn', name: hostName };
  const user = statement.value('user-at-hostname');
  if (user !== undefined) return { kind: 'user-fqdn', name: user };
  const keyId = statement.value('key-id');
  return keyId === undefined ? undefined : { kind: 'key-id', id: utf8(keyId) };
}

function dynamicIdentity(compilation: Compilation, gateway: Statement): Identity | undefined {
  const dynamic = gateway.at('dynamic');
  const said = identity(dynamic);
  if (dynamic && dynamic.value('ike-user-type') === 'group-ike-id') {
    compilation.error(
      dynamic.at('ike-user-type') ?? dynamic,
      'identities that share only a part (group-ike-id) are not matched yet',
      `set ${dynamic.path} ike-user-type shared-ike-id`,
    );
  }
  return said;
}

function compileDpd(statement: Statement | undefined): DeadPeerDetectionConfig | undefined {
  if (statement === undefined) return undefined;
  const mode = statement.has('always-send')
    ? 'always-send'
    : statement.has('probe-idle-tunnel')
      ? 'probe-idle-tunnel'
      : 'optimized';
  return {
    mode,
    interval: seconds(statement.count('interval') ?? DPD_INTERVAL_DEFAULT),
    threshold: statement.count('threshold') ?? DPD_THRESHOLD_DEFAULT,
  };
}

function fragment(statement: Statement | undefined, peer: IpAddress | undefined): number | undefined {
  if (statement === undefined || statement.has('disable')) return undefined;
  const isIpv6 = peer !== undefined && addressFamily(peer) === 6;
  return statement.count('size') ?? (isIpv6 ? FRAGMENT_SIZE_IPV6_DEFAULT : FRAGMENT_SIZE_IPV4_DEFAULT);
}
