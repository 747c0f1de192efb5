import { toHex } from '../../lib/bytes.ts';
import type { Milliseconds } from '../../lib/time.ts';
import { formatIdentity } from '../../model/identity.ts';
import type { IkeSaStatus } from '../../model/ike-event.ts';
import type { IsakmpSa } from './isakmp-sa.ts';
import type { MessageChannel } from './message-channel.ts';
import type { IsakmpTerms } from './phase1.ts';

/** An ISAKMP SA as `show security ike security-associations` has it; `remaining` until it expires, if it is up. */
export function describeIsakmpSa(
  sa: IsakmpSa,
  channel: MessageChannel,
  agreement: IsakmpTerms | undefined,
  remaining: Milliseconds | undefined,
): IkeSaStatus {
  const { outcome, cookies } = sa;
  return {
    id: sa.id,
    index: sa.index,
    gateway: sa.gateway.name,
    role: sa.role,
    state: sa.isEstablished ? 'up' : 'down',
    mode: sa.mode,
    path: sa.path,
    initiatorCookie: toHex(cookies.initiatorCookie),
    responderCookie: toHex(cookies.responderCookie),
    ...describeSuite(agreement),
    ...(outcome
      ? {
          localIdentity: formatIdentity(outcome.localIdentity),
          remoteIdentity: formatIdentity(outcome.peer.identity),
          lifetimeRemainingSeconds: Math.max(0, Math.ceil((remaining ?? 0) / 1000)),
        }
      : {}),
    ...describeRemoteAccess(sa),
    nat: sa.nat,
    traffic: {
      inputOctets: channel.inputOctets,
      outputOctets: channel.outputOctets,
      inputPackets: channel.inputPackets,
      outputPackets: channel.outputPackets,
    },
    ipsecSasCreated: sa.ipsecSasCreated,
    ipsecSasDeleted: sa.ipsecSasDeleted,
    phase2InProgress: sa.exchanges.openCount,
  };
}

function describeSuite(agreement: IsakmpTerms | undefined): Partial<IkeSaStatus> {
  if (agreement === undefined) return {};
  const { encryption, hash, dhGroup } = agreement.suite;
  return { authenticationMethod: 'pre-shared-keys', encryption, hash, dhGroup };
}

function describeRemoteAccess(sa: IsakmpSa): Partial<IkeSaStatus> {
  const { user, address } = sa.exchanges.remoteAccess ?? {};
  return {
    ...(user === undefined ? {} : { xauthUser: user }),
    ...(address === undefined ? {} : { assignedAddress: address }),
  };
}
