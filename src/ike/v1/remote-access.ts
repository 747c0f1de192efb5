// What follows phase 1 with a dial-in peer: XAUTH, then Mode Config (neither ever an RFC). Pure: payloads in, payloads out.

import { err, ok, type Result } from '../../lib/result.ts';
import type { IpAddress } from '../../model/address.ts';
import type { XauthConfig, XauthUser } from '../../model/gateway-config.ts';
import type { AttributesPayload } from '../../wire/isakmp-payloads.ts';
import { MODE_CONFIG_TYPE } from '../../wire/mode-config.ts';
import { acknowledge, givenAddress, isModeConfig, modeConfigReply, modeConfigRequest } from './mode-config.ts';
import { type Refusal, refusal } from './peer-fault.ts';
import { checkCredentials, claimedUser, credentialsReply, credentialsRequest, readStatus, statusSet } from './xauth.ts';

/** Where it stands. `ready` is what Quick Mode waits for. */
export type RemoteAccessState =
  | { readonly step: 'expect-credentials' }
  | { readonly step: 'expect-acknowledgement'; readonly user: XauthUser | undefined; readonly claimed: string }
  | { readonly step: 'expect-request' }
  | { readonly step: 'expect-status' }
  | { readonly step: 'expect-configuration' }
  | { readonly step: 'ready'; readonly user?: string; readonly address?: IpAddress };

/** What a message leads to. */
export interface RemoteAccessStep {
  readonly state: RemoteAccessState;
  /** What the message did, in one clause. */
  readonly effect: string;
  /** The second message of the same exchange. */
  readonly answer?: AttributesPayload;
  /** The first message of an exchange of our own. */
  readonly next?: AttributesPayload;
  /** The other side has failed to prove who it is, or we have: the SA ends once everything is said. */
  readonly failure?: Refusal;
}

export interface RemoteAccessContext {
  readonly config: XauthConfig;
  /** An address of the pool for this user; `undefined` if none is left. */
  lease(user: string): IpAddress | undefined;
  /** For an exchange of our own. */
  drawIdentifier(): number;
}

/** Once phase 1 is done: the server asks, the client waits to be asked. */
export function beginRemoteAccess(context: RemoteAccessContext): RemoteAccessStep {
  if (context.config.role === 'client') return { state: { step: 'expect-request' }, effect: '' };
  const next = credentialsRequest(context.drawIdentifier());
  return { state: { step: 'expect-credentials' }, effect: '', next };
}

/** The first message of an exchange that the peer has begun. */
export function receiveFirst(
  state: RemoteAccessState,
  payload: AttributesPayload,
  context: RemoteAccessContext,
): Result<RemoteAccessStep, Refusal> {
  const { config } = context;
  if (payload.type === MODE_CONFIG_TYPE.request && isModeConfig(payload)) {
    return state.step === 'ready' && config.role === 'server' ? giveAddress(state, payload, context) : unexpected();
  }
  if (payload.type === MODE_CONFIG_TYPE.request && config.role === 'client' && state.step === 'expect-request') {
    const reply = credentialsReply(payload, config);
    if (!reply.ok) return err(refusal('xauth-failed', reply.error, config.origin));
    return ok({ state: { step: 'expect-status' }, effect: 'asked for user and password', answer: reply.value });
  }
  if (payload.type !== MODE_CONFIG_TYPE.set || config.role !== 'client') return unexpected();
  if (state.step === 'expect-request') return unexpected();
  if (state.step === 'expect-status') return receiveStatus(payload, context);
  // Some servers push the configuration without being asked.
  const address = givenAddress(payload);
  if (address === undefined || !isModeConfig(payload)) return unexpected();
  const next = { step: 'ready', user: config.username, address } as const;
  return ok({ state: next, effect: `gave us address ${address}`, answer: acknowledge(payload) });
}

/** The second message of an exchange that we have begun. */
export function receiveAnswer(
  state: RemoteAccessState,
  payload: AttributesPayload,
  context: RemoteAccessContext,
): Result<RemoteAccessStep, Refusal> {
  const { config } = context;
  switch (state.step) {
    case 'expect-credentials': {
      if (config.role !== 'server' || payload.type !== MODE_CONFIG_TYPE.reply) return unexpected();
      const user = checkCredentials(payload, config);
      const claimed = claimedUser(payload);
      const next = statusSet(context.drawIdentifier(), user !== undefined);
      return ok({ state: { step: 'expect-acknowledgement', user, claimed }, effect: `named user ${claimed}`, next });
    }
    case 'expect-acknowledgement': {
      if (payload.type !== MODE_CONFIG_TYPE.acknowledge) return unexpected();
      if (state.user) {
        return ok({ state: { step: 'ready', user: state.user.name }, effect: `user ${state.user.name} is in` });
      }
      const explanation = `user ${state.claimed} is unknown here, or gave a wrong password`;
      return ok({ state, effect: 'took the refusal', failure: refusal('xauth-failed', explanation, config.origin) });
    }
    case 'expect-configuration': {
      if (payload.type !== MODE_CONFIG_TYPE.reply || config.role !== 'client') return unexpected();
      const address = givenAddress(payload);
      const ready = { step: 'ready', user: config.username, ...(address === undefined ? {} : { address }) } as const;
      return ok({ state: ready, effect: `gave us ${address === undefined ? 'no address' : `address ${address}`}` });
    }
    default:
      return unexpected();
  }
}

function receiveStatus(payload: AttributesPayload, context: RemoteAccessContext): Result<RemoteAccessStep, Refusal> {
  const isAccepted = readStatus(payload);
  if (isAccepted === undefined) return unexpected();
  const answer = acknowledge(payload);
  if (isAccepted) {
    const next = modeConfigRequest(context.drawIdentifier());
    return ok({ state: { step: 'expect-configuration' }, effect: 'let us in', answer, next });
  }
  const explanation = 'the server does not accept our user and password';
  const failure = refusal('xauth-failed', explanation, context.config.origin);
  return ok({ state: { step: 'expect-status' }, effect: 'refused user and password', answer, failure });
}

function giveAddress(
  state: Extract<RemoteAccessState, { readonly step: 'ready' }>,
  request: AttributesPayload,
  context: RemoteAccessContext,
): Result<RemoteAccessStep, Refusal> {
  const { config } = context;
  const pool = config.role === 'server' ? config.pool : undefined;
  const address = state.address ?? context.lease(state.user ?? '');
  if (pool === undefined || address === undefined) {
    const answer = { ...request, type: MODE_CONFIG_TYPE.reply, attributes: [] };
    return ok({ state, effect: `asked for an address; ${pool ? 'the pool is empty' : 'there is no pool'}`, answer });
  }
  const answer = modeConfigReply(request, { address, pool });
  return ok({ state: { ...state, address }, effect: `asked for an address, and gets ${address}`, answer });
}

function unexpected(): Result<never, Refusal> {
  return err(refusal('unexpected-message'));
}
