/** What a test's strongSwan connection says, in strongSwan's words. */
export interface SwanctlSettings {
  readonly aggressive?: boolean;
  /** Such as `aes256-sha256-modp2048`. */
  readonly proposal: string;
  readonly espProposal: string;
  readonly secret: string;
  readonly localAddress: string;
  readonly remoteAddress: string;
  readonly localLan: string;
  readonly remoteLan: string;
  /** Identities; absent: the addresses. */
  readonly localIdentity?: string;
  readonly remoteIdentity?: string;
  /** More children: name, local and remote network. */
  readonly moreChildren?: readonly { readonly name: string; readonly local: string; readonly remote: string }[];
  /** Lines of the connection, and of each child. */
  readonly connection?: string;
  readonly child?: string;
}

/** One IKEv1 connection `peer` with the child `net`. UDP encapsulation is forced, since that is all that user-space ESP can do. */
export function swanctlConfiguration(settings: SwanctlSettings): string {
  const local = settings.localIdentity ?? settings.localAddress;
  const remote = settings.remoteIdentity ?? settings.remoteAddress;
  const children = [
    { name: 'net', local: settings.localLan, remote: settings.remoteLan },
    ...(settings.moreChildren ?? []),
  ];
  return `connections {
  peer {
    version = 1
    aggressive = ${settings.aggressive ? 'yes' : 'no'}
    local_addrs = ${settings.localAddress}
    remote_addrs = ${settings.remoteAddress}
    encap = yes
    proposals = ${settings.proposal}
    ${settings.connection ?? ''}
    local {
      auth = psk
      id = "${local}"
    }
    remote {
      auth = psk
      id = "${remote}"
    }
    children {
${children.map((child) => childSection(child, settings)).join('')}    }
  }
}
secrets {
  ike-peer {
    id-local = "${local}"
    id-remote = "${remote}"
    secret = "${settings.secret}"
  }
}
`;
}

function childSection(
  child: { readonly name: string; readonly local: string; readonly remote: string },
  settings: SwanctlSettings,
): string {
  return `      ${child.name} {
        local_ts = ${child.local}
        remote_ts = ${child.remote}
        esp_proposals = ${settings.espProposal}
        ${settings.child ?? ''}
      }
`;
}
