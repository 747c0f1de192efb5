// What the link towards a peer carries in one packet. Asked of the routing table and of the interface, not of a connected socket: what the kernel
// has heard in ICMP messages would be in that answer too, and the data plane believes those on its own terms only (RFC 4301 §8.2.1).

import { addressFamily, addressOctets, type IpAddress } from '../model/address.ts';
import { AF_INET, AF_INET6, SystemCallError } from './libc.ts';
import { NetlinkBody, NetlinkSocket, netlinkAttributes, readUint32 } from './netlink.ts';
import { OWN_MARK } from './own-mark.ts';

const RTM_GETLINK = 18;
const RTM_GETROUTE = 26;
const ROUTE_LENGTH = 12;
const LINK_LENGTH = 16;
const LINK_INDEX_AT = 4;
const RTA_DST = 1;
const RTA_SRC = 2;
const RTA_OIF = 4;
const RTA_MARK = 16;
const IFLA_MTU = 4;

/** Asks the kernel about links, one question at a time. */
export class LinkMtus {
  #netlink: NetlinkSocket | undefined;

  /** Octets of the largest IP packet that the interface towards `remote` takes; `undefined` if there is no way there. */
  get(local: IpAddress | undefined, remote: IpAddress): number | undefined {
    try {
      const index = this.#outgoingInterface(local, remote);
      return index === 0 ? undefined : this.#mtu(index);
    } catch (error) {
      if (error instanceof SystemCallError) return undefined;
      throw error;
    }
  }

  #outgoingInterface(local: IpAddress | undefined, remote: IpAddress): number {
    const isIpv4 = addressFamily(remote) === 4;
    const length = isIpv4 ? 32 : 128;
    const header = new Uint8Array(ROUTE_LENGTH);
    header.set([isIpv4 ? AF_INET : AF_INET6, length, local === undefined ? 0 : length]);
    const body = new NetlinkBody(header).attribute(RTA_DST, addressOctets(remote)).uint32(RTA_MARK, OWN_MARK);
    if (local !== undefined) body.attribute(RTA_SRC, addressOctets(local));
    return this.#ask(RTM_GETROUTE, body.finish(), ROUTE_LENGTH, RTA_OIF, `route to ${remote}`);
  }

  #mtu(index: number): number | undefined {
    const header = new Uint8Array(LINK_LENGTH);
    new DataView(header.buffer).setInt32(LINK_INDEX_AT, index, true);
    const mtu = this.#ask(RTM_GETLINK, header, LINK_LENGTH, IFLA_MTU, `interface ${index}`);
    return mtu === 0 ? undefined : mtu;
  }

  #ask(type: number, body: Uint8Array, fixedLength: number, attribute: number, purpose: string): number {
    this.#netlink ??= new NetlinkSocket();
    const answer = this.#netlink.ask(type, body, purpose);
    return answer === undefined ? 0 : readUint32(netlinkAttributes(answer.body, fixedLength).get(attribute));
  }
}
