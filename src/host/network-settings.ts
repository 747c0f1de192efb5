// Links, addresses, routes and rules of the network namespace that the process runs in.

import { addressFamily, addressFromOctets, addressOctets, formatPrefix, type Prefix } from '../model/address.ts';
import { AF_INET, AF_INET6, SystemCallError } from './libc.ts';
import {
  littleEndian32,
  NetlinkBody,
  NetlinkSocket,
  NLM_F_CREATE,
  NLM_F_EXCL,
  NLM_F_REPLACE,
  netlinkAttributes,
  readUint32,
} from './netlink.ts';

/** A network interface of the host. */
export interface HostInterface {
  readonly index: number;
  readonly name: string;
  readonly isUp: boolean;
  readonly mtu: number;
  readonly addresses: readonly Prefix[];
}

/** A route in one table: into an interface, or (without one) one that drops and tells the sender so. */
export interface HostRoute {
  readonly table: number;
  readonly prefix: Prefix;
  readonly interfaceIndex?: number;
  readonly metric: number;
}

/** A routing rule for packets that do not carry `exceptMark`: look into `table`, and ignore what is found if its prefix is no longer than `suppressLength`. */
export interface HostRule {
  readonly family: 4 | 6;
  readonly priority: number;
  readonly table: number;
  readonly exceptMark: number;
  readonly suppressLength?: number;
}

const RTM_NEWLINK = 16;
const RTM_DELLINK = 17;
const RTM_GETLINK = 18;
const RTM_NEWADDR = 20;
const RTM_DELADDR = 21;
const RTM_GETADDR = 22;
const RTM_NEWROUTE = 24;
const RTM_DELROUTE = 25;
const RTM_GETROUTE = 26;
const RTM_NEWRULE = 32;
const RTM_DELRULE = 33;
const RTM_GETRULE = 34;

const IFF_UP = 1;
const IFLA_IFNAME = 3;
const IFLA_MTU = 4;
const IFLA_TXQLEN = 13;
const IFLA_AF_SPEC = 26;
const IFLA_GROUP = 27;
const IFLA_INET6_ADDR_GEN_MODE = 8;
const ADDR_GEN_MODE_NONE = 1;
const IFA_ADDRESS = 1;
const IFA_LOCAL = 2;
const IFA_F_NODAD = 0x02;
const RTA_DST = 1;
const RTA_OIF = 4;
const RTA_PRIORITY = 6;
const RTA_TABLE = 15;
const RTN_UNICAST = 1;
const RTN_UNREACHABLE = 7;
const RT_SCOPE_UNIVERSE = 0;
const RT_SCOPE_LINK = 253;
const FRA_PRIORITY = 6;
const FRA_FWMARK = 10;
const FRA_SUPPRESS_PREFIXLEN = 14;
const FRA_TABLE = 15;
const FR_ACT_TO_TBL = 1;
const FIB_RULE_INVERT = 2;
const LINK_LENGTH = 16;
const ADDRESS_LENGTH = 8;
const ROUTE_LENGTH = 12;

/** Our number in the `proto` column of `ip route`, so that an operator can tell our routes from others. */
const ROUTE_PROTOCOL = 159;

/** Packets that may wait in a TUN device while its reader is not scheduled: some 10 ms of the smallest ones. Linux' own default is 500. */
const TRANSMIT_QUEUE_LENGTH = 2000;

/** Reads and changes the namespace's settings through one netlink socket. Every failure is a SystemCallError. */
export class NetworkSettings {
  readonly #netlink = new NetlinkSocket();

  close(): void {
    this.#netlink.close();
  }

  interfaces(): readonly HostInterface[] {
    const addresses = new Map<number, Prefix[]>();
    for (const { body } of this.#netlink.dump(RTM_GETADDR, new Uint8Array(ADDRESS_LENGTH), 'list addresses')) {
      const attributes = netlinkAttributes(body, ADDRESS_LENGTH);
      const octets = attributes.get(IFA_LOCAL) ?? attributes.get(IFA_ADDRESS);
      if (!octets || (octets.length !== 4 && octets.length !== 16)) continue;
      const index = readUint32(body.subarray(4, 8));
      const list = addresses.get(index) ?? [];
      list.push({ address: addressFromOctets(octets), length: body[1] ?? 0 });
      addresses.set(index, list);
    }
    return this.#netlink.dump(RTM_GETLINK, new Uint8Array(LINK_LENGTH), 'list interfaces').map(({ body }) => {
      const attributes = netlinkAttributes(body, LINK_LENGTH);
      const index = readUint32(body.subarray(4, 8));
      return {
        index,
        name: textOf(attributes.get(IFLA_IFNAME)),
        isUp: (readUint32(body.subarray(8, 12)) & IFF_UP) !== 0,
        mtu: readUint32(attributes.get(IFLA_MTU)),
        addresses: addresses.get(index) ?? [],
      };
    });
  }

  /** Sets MTU and group and brings the interface up, without an IPv6 link-local address, which would make it talk on its own. */
  bringUp(index: number, name: string, mtu: number, group: number): void {
    const quiet = nested(
      AF_INET6,
      new NetlinkBody(new Uint8Array(0)).attribute(IFLA_INET6_ADDR_GEN_MODE, Uint8Array.of(ADDR_GEN_MODE_NONE)),
    );
    try {
      const mode = new NetlinkBody(linkHeader(index, 0)).attribute(IFLA_AF_SPEC, quiet);
      this.#netlink.change(RTM_NEWLINK, 0, mode.finish(), `interface ${name}: IPv6 address mode`);
    } catch (error) {
      // A kernel without IPv6 has no such mode, and needs none.
      if (!(error instanceof SystemCallError)) throw error;
    }
    const body = new NetlinkBody(linkHeader(index, IFF_UP))
      .uint32(IFLA_MTU, mtu)
      .uint32(IFLA_TXQLEN, TRANSMIT_QUEUE_LENGTH)
      .uint32(IFLA_GROUP, group);
    this.#netlink.change(RTM_NEWLINK, 0, body.finish(), `interface ${name}: MTU ${mtu}, up`);
  }

  /** Removes every interface of a group at once: the kernel waits for its readers once, not once an interface. */
  removeGroup(group: number): void {
    const body = new NetlinkBody(linkHeader(0, 0)).uint32(IFLA_GROUP, group);
    ignoring(['ENODEV'], () => this.#netlink.change(RTM_DELLINK, 0, body.finish(), `interface group ${group}`));
  }

  addAddress(index: number, prefix: Prefix): void {
    this.#netlink.change(
      RTM_NEWADDR,
      NLM_F_CREATE | NLM_F_REPLACE,
      addressBody(index, prefix),
      `address ${formatPrefix(prefix)}`,
    );
  }

  removeAddress(index: number, prefix: Prefix): void {
    this.#netlink.change(RTM_DELADDR, 0, addressBody(index, prefix), `address ${formatPrefix(prefix)}`);
  }

  addRoute(route: HostRoute): void {
    this.#netlink.change(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, routeBody(route), describeRoute(route));
  }

  /** Removes a route; one that is gone already (its interface went) is fine. */
  removeRoute(route: HostRoute): void {
    ignoring(['ESRCH', 'ENOENT', 'ENODEV'], () =>
      this.#netlink.change(RTM_DELROUTE, 0, routeBody(route), describeRoute(route)),
    );
  }

  /** The routes that we made, by protocol number, in tables `firstTable` to `lastTable`. */
  ownRoutes(firstTable: number, lastTable: number): readonly HostRoute[] {
    const routes: HostRoute[] = [];
    for (const family of [AF_INET, AF_INET6]) {
      const header = new Uint8Array(ROUTE_LENGTH);
      header[0] = family;
      for (const { body } of this.#netlink.dump(RTM_GETROUTE, header, 'list routes')) {
        const attributes = netlinkAttributes(body, ROUTE_LENGTH);
        const table = readUint32(attributes.get(RTA_TABLE));
        if (body[5] !== ROUTE_PROTOCOL || table < firstTable || table > lastTable) continue;
        const octets = attributes.get(RTA_DST) ?? new Uint8Array(family === AF_INET ? 4 : 16);
        routes.push({
          table,
          prefix: { address: addressFromOctets(octets), length: body[1] ?? 0 },
          metric: readUint32(attributes.get(RTA_PRIORITY)),
          ...(body[7] === RTN_UNICAST ? { interfaceIndex: readUint32(attributes.get(RTA_OIF)) } : {}),
        });
      }
    }
    return routes;
  }

  addRule(rule: HostRule): void {
    ignoring(['EEXIST'], () =>
      this.#netlink.change(RTM_NEWRULE, NLM_F_CREATE | NLM_F_EXCL, ruleBody(rule), `routing rule ${rule.priority}`),
    );
  }

  removeRule(rule: HostRule): void {
    ignoring(['ENOENT'], () => this.#netlink.change(RTM_DELRULE, 0, ruleBody(rule), `routing rule ${rule.priority}`));
  }

  /** The rules whose priority lies in the range, whoever made them. */
  rules(firstPriority: number, lastPriority: number): readonly HostRule[] {
    const rules: HostRule[] = [];
    for (const family of [AF_INET, AF_INET6]) {
      const header = new Uint8Array(ROUTE_LENGTH);
      header[0] = family;
      for (const { body } of this.#netlink.dump(RTM_GETRULE, header, 'list routing rules')) {
        const attributes = netlinkAttributes(body, ROUTE_LENGTH);
        const priority = readUint32(attributes.get(FRA_PRIORITY));
        if (body[0] !== family || priority < firstPriority || priority > lastPriority) continue;
        const suppress = readUint32(attributes.get(FRA_SUPPRESS_PREFIXLEN));
        rules.push({
          family: family === AF_INET ? 4 : 6,
          priority,
          table: readUint32(attributes.get(FRA_TABLE)),
          exceptMark: readUint32(attributes.get(FRA_FWMARK)),
          ...(attributes.has(FRA_SUPPRESS_PREFIXLEN) && suppress !== 0xffffffff ? { suppressLength: suppress } : {}),
        });
      }
    }
    return rules;
  }
}

function linkHeader(index: number, flags: number): Uint8Array {
  const header = new Uint8Array(LINK_LENGTH);
  const view = new DataView(header.buffer);
  view.setUint32(4, index, true);
  view.setUint32(8, flags, true);
  view.setUint32(12, flags, true);
  return header;
}

function addressBody(index: number, prefix: Prefix): Uint8Array {
  const header = new Uint8Array(ADDRESS_LENGTH);
  header[0] = familyNumber(prefix);
  header[1] = prefix.length;
  header[2] = header[0] === AF_INET6 ? IFA_F_NODAD : 0;
  header.set(littleEndian32(index), 4);
  const octets = addressOctets(prefix.address);
  return new NetlinkBody(header).attribute(IFA_LOCAL, octets).attribute(IFA_ADDRESS, octets).finish();
}

function routeBody(route: HostRoute): Uint8Array {
  const header = new Uint8Array(ROUTE_LENGTH);
  header[0] = familyNumber(route.prefix);
  header[1] = route.prefix.length;
  header[5] = ROUTE_PROTOCOL;
  header[6] = route.interfaceIndex === undefined ? RT_SCOPE_UNIVERSE : RT_SCOPE_LINK;
  header[7] = route.interfaceIndex === undefined ? RTN_UNREACHABLE : RTN_UNICAST;
  const body = new NetlinkBody(header)
    .attribute(RTA_DST, addressOctets(route.prefix.address))
    .uint32(RTA_TABLE, route.table)
    .uint32(RTA_PRIORITY, route.metric);
  if (route.interfaceIndex !== undefined) body.uint32(RTA_OIF, route.interfaceIndex);
  return body.finish();
}

function ruleBody(rule: HostRule): Uint8Array {
  const header = new Uint8Array(ROUTE_LENGTH);
  header[0] = rule.family === 4 ? AF_INET : AF_INET6;
  header[7] = FR_ACT_TO_TBL;
  header.set(littleEndian32(FIB_RULE_INVERT), 8);
  const body = new NetlinkBody(header)
    .uint32(FRA_PRIORITY, rule.priority)
    .uint32(FRA_TABLE, rule.table)
    .uint32(FRA_FWMARK, rule.exceptMark);
  if (rule.suppressLength !== undefined) body.uint32(FRA_SUPPRESS_PREFIXLEN, rule.suppressLength);
  return body.finish();
}

function nested(type: number, body: NetlinkBody): Uint8Array {
  return new NetlinkBody(new Uint8Array(0)).attribute(type, body.finish()).finish();
}

function familyNumber(prefix: Prefix): number {
  return addressFamily(prefix.address) === 4 ? AF_INET : AF_INET6;
}

function describeRoute(route: HostRoute): string {
  return `route ${formatPrefix(route.prefix)} in table ${route.table}`;
}

function textOf(value: Uint8Array | undefined): string {
  return Buffer.from(value ?? [])
    .toString('utf8')
    .replace(/\0.*$/, '');
}

function ignoring(codes: readonly string[], action: () => void): void {
  try {
    action();
  } catch (error) {
    if (!(error instanceof SystemCallError) || !codes.includes(error.code)) throw error;
  }
}
