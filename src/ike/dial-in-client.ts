// Many dial-in clients may share one configured gateway; the user that XAUTH has named tells them, and what is theirs, apart.

import type { IpAddress } from '../model/address.ts';
import type { IsakmpSa } from './v1/isakmp-sa.ts';

/** The user whose SA this is; `undefined` where we do not ask for one, since then the gateway has one peer. */
export function clientOf(sa: IsakmpSa): string | undefined {
  return sa.gateway.xauth?.role === 'server' ? sa.exchanges.remoteAccess?.user : undefined;
}

/** The address that we have given to the client of this SA. */
export function leasedAddress(sa: IsakmpSa): IpAddress | undefined {
  return sa.gateway.xauth?.role === 'server' ? sa.exchanges.remoteAccess?.address : undefined;
}
