// XAUTH (draft-beaulieu-ike-xauth-02, never an RFC): after phase 1 the server asks for a user and a password, in Transaction exchanges.
// 1. server -->  REQUEST (user name, password)     2. client -->  REPLY
// 3. server -->  SET (status)                      4. client -->  ACK

import { equalInConstantTime, fromUtf8, utf8 } from '../../lib/bytes.ts';
import { err, ok, type Result } from '../../lib/result.ts';
import type { XauthConfig, XauthUser } from '../../model/gateway-config.ts';
import { type Attribute, attributeNumber } from '../../wire/isakmp-attributes.ts';
import type { AttributesPayload } from '../../wire/isakmp-payloads.ts';
import { MODE_CONFIG_ATTRIBUTE, MODE_CONFIG_TYPE } from '../../wire/mode-config.ts';

const TYPE_GENERIC = 0;
const STATUS_OK = 1;
const STATUS_FAIL = 0;
const NO_VALUE = new Uint8Array(0);

type ServerConfig = Extract<XauthConfig, { readonly role: 'server' }>;
type ClientConfig = Extract<XauthConfig, { readonly role: 'client' }>;

/** What the server asks first. */
export function credentialsRequest(identifier: number): AttributesPayload {
  return {
    kind: 'attributes',
    type: MODE_CONFIG_TYPE.request,
    identifier,
    attributes: [
      { type: MODE_CONFIG_ATTRIBUTE['XAUTH-TYPE'], value: TYPE_GENERIC },
      { type: MODE_CONFIG_ATTRIBUTE['XAUTH-USER-NAME'], value: NO_VALUE },
      { type: MODE_CONFIG_ATTRIBUTE['XAUTH-USER-PASSWORD'], value: NO_VALUE },
    ],
  };
}

/** The client's answer; the error says what is asked for that a configured name and password cannot answer. */
export function credentialsReply(request: AttributesPayload, config: ClientConfig): Result<AttributesPayload, string> {
  const attributes: Attribute[] = [];
  for (const attribute of request.attributes) {
    switch (attribute.type) {
      case MODE_CONFIG_ATTRIBUTE['XAUTH-TYPE']:
        if (attributeNumber(attribute) !== TYPE_GENERIC) return err('the server asks for more than a password');
        attributes.push({ type: attribute.type, value: TYPE_GENERIC });
        break;
      case MODE_CONFIG_ATTRIBUTE['XAUTH-USER-NAME']:
        attributes.push({ type: attribute.type, value: utf8(config.username) });
        break;
      case MODE_CONFIG_ATTRIBUTE['XAUTH-USER-PASSWORD']:
      case MODE_CONFIG_ATTRIBUTE['XAUTH-PASSCODE']:
        attributes.push({ type: attribute.type, value: config.password.reveal() });
        break;
      default:
        // A message for the user, a domain: nothing to answer.
        break;
    }
  }
  return ok({ kind: 'attributes', type: MODE_CONFIG_TYPE.reply, identifier: request.identifier, attributes });
}

/** The user whose name and password the reply holds. Takes as long for an unknown user as for a wrong password. */
export function checkCredentials(reply: AttributesPayload, config: ServerConfig): XauthUser | undefined {
  const name = octetsOf(reply, MODE_CONFIG_ATTRIBUTE['XAUTH-USER-NAME']);
  const password = octetsOf(reply, MODE_CONFIG_ATTRIBUTE['XAUTH-USER-PASSWORD']);
  let found: XauthUser | undefined;
  for (const user of config.users) {
    const isName = equalInConstantTime(utf8(user.name), name);
    const isPassword = equalInConstantTime(user.password.reveal(), password);
    if (isName && isPassword) found = user;
  }
  return found;
}

/** The name that the reply gives, for the log. */
export function claimedUser(reply: AttributesPayload): string {
  const name = octetsOf(reply, MODE_CONFIG_ATTRIBUTE['XAUTH-USER-NAME']);
  const isText = name.every((octet) => octet >= 0x20 && octet < 0x7f);
  return isText ? fromUtf8(name) : `${name.length} octets that are no text`;
}

/** The server's verdict. */
export function statusSet(identifier: number, isAccepted: boolean): AttributesPayload {
  const value = isAccepted ? STATUS_OK : STATUS_FAIL;
  const attributes = [{ type: MODE_CONFIG_ATTRIBUTE['XAUTH-STATUS'], value }];
  return { kind: 'attributes', type: MODE_CONFIG_TYPE.set, identifier, attributes };
}

/** The verdict in a SET; `undefined` if it holds none. */
export function readStatus(payload: AttributesPayload): boolean | undefined {
  const status = payload.attributes.find(({ type }) => type === MODE_CONFIG_ATTRIBUTE['XAUTH-STATUS']);
  return status && attributeNumber(status) === STATUS_OK;
}

function octetsOf(payload: AttributesPayload, type: number): Uint8Array {
  const value = payload.attributes.find((attribute) => attribute.type === type)?.value;
  return value instanceof Uint8Array ? value : NO_VALUE;
}
