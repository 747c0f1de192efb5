import type { IpAddress } from './address.ts';
import { formatRange, type TrafficSelector } from './traffic-selector.ts';

/** Who a phase 1 peer says it is (RFC 2407 §4.6.2). A distinguished name is kept as DER. */
export type Identity =
  | { readonly kind: 'address'; readonly address: IpAddress }
  | { readonly kind: 'fqdn'; readonly name: string }
  | { readonly kind: 'user-fqdn'; readonly name: string }
  | { readonly kind: 'distinguished-name'; readonly der: Uint8Array; readonly text: string }
  | { readonly kind: 'key-id'; readonly id: Uint8Array }
  | { readonly kind: 'selector'; readonly selector: TrafficSelector };

/** Equal identities have equal keys. */
export function identityKey(identity: Identity): string {
  return `${identity.kind} ${formatIdentity(identity)}`;
}

/** For people: the address, name, or octets in hexadecimal where they are not printable text. */
export function formatIdentity(identity: Identity): string {
  switch (identity.kind) {
    case 'address':
      return identity.address;
    case 'fqdn':
    case 'user-fqdn':
      return printable(new TextEncoder().encode(identity.name));
    case 'distinguished-name':
      return identity.text;
    case 'key-id':
      return printable(identity.id);
    case 'selector':
      return formatRange(identity.selector.addresses);
  }
}

// Peers choose these octets; control characters must not reach a terminal or a log.
function printable(octets: Uint8Array): string {
  const isText = octets.every((octet) => octet >= 0x20 && octet < 0x7f);
  return isText
    ? String.fromCharCode(...octets)
    : `0x${Array.from(octets, (o) => o.toString(16).padStart(2, '0')).join('')}`;
}
