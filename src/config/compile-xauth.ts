// `xauth` of a gateway, with the users and the address pool that it refers to under `access`.

import { utf8 } from '../lib/bytes.ts';
import { Secret } from '../lib/secret.ts';
import { type IpAddress, parsePrefix, prefixRange } from '../model/address.ts';
import type { XauthConfig, XauthPool, XauthUser } from '../model/gateway-config.ts';
import type { Compilation, Statement } from './compilation.ts';
import { revealSecret } from './compile-policy.ts';

/** Who asks whom for a user name; `undefined` without `xauth`, or when what it refers to is missing, which is then reported. */
export function compileXauth(compilation: Compilation, gateway: Statement): XauthConfig | undefined {
  const xauth = gateway.at('xauth');
  if (xauth === undefined) return undefined;
  const profile = xauth.value('access-profile');
  return profile === undefined ? client(compilation, xauth) : server(compilation, xauth, profile);
}

function client(compilation: Compilation, xauth: Statement): XauthConfig | undefined {
  const username = xauth.value('client', 'username');
  const leaf = xauth.at('client', 'password');
  const password = leaf && revealSecret(compilation, leaf);
  if (username === undefined || leaf === undefined) {
    compilation.error(xauth, 'xauth needs an access-profile, or client username and password');
  }
  if (username === undefined || password === undefined) return undefined;
  return { role: 'client', username, password: new Secret(utf8(password)), origin: xauth.origin };
}

function server(compilation: Compilation, xauth: Statement, name: string): XauthConfig | undefined {
  const profile = compilation.root.at('access', 'profile', name);
  if (profile === undefined) return undefined;
  const users = profile.entries('client').flatMap((user) => compileUser(compilation, user) ?? []);
  if (users.length === 0) {
    compilation.warn(
      profile,
      'no user in this profile has a password here; other servers are not asked',
      `set ${profile.path} client <name> firewall-user password "<password>"`,
    );
  }
  const poolName = profile.value('address-assignment', 'pool');
  const pool = poolName === undefined ? undefined : compilePool(compilation, poolName);
  return { role: 'server', users, ...(pool && { pool }), origin: xauth.origin };
}

function compileUser(compilation: Compilation, user: Statement): XauthUser | undefined {
  const leaf = user.at('firewall-user', 'password');
  const password = leaf && revealSecret(compilation, leaf);
  if (password === undefined) return undefined;
  const address = hostAddress(user.value('xauth', 'ip-address'));
  return { name: user.name, password: new Secret(utf8(password)), ...(address !== undefined && { address }) };
}

function compilePool(compilation: Compilation, name: string): XauthPool | undefined {
  const pool = compilation.root.at('access', 'address-assignment', 'pool', name);
  const inet = pool?.at('family', 'inet');
  const said = inet?.value('network');
  const network = said === undefined ? undefined : parsePrefix(said);
  if (pool === undefined) return undefined;
  if (inet === undefined || network === undefined) {
    compilation.error(pool, "Missing mandatory statement: 'network'", `set ${pool.path} family inet network <prefix>`);
    return undefined;
  }
  const range = inet.entries('range')[0];
  const whole = prefixRange(network);
  const servers = (kind: string): IpAddress[] =>
    ['primary', 'secondary'].flatMap((rank) => hostAddress(inet.value('xauth-attributes', `${rank}-${kind}`)) ?? []);
  return {
    network,
    first: hostAddress(range?.value('low')) ?? whole.first,
    last: hostAddress(range?.value('high')) ?? whole.last,
    dnsServers: servers('dns'),
    winsServers: servers('wins'),
    // Nothing under `access` says which networks are behind the gateway: everything of the client goes through.
    splitInclude: [],
  };
}

function hostAddress(text: string | undefined): IpAddress | undefined {
  return text === undefined ? undefined : parsePrefix(text)?.address;
}
