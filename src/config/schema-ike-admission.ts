// `security ike session` and `blocklists`: whom to talk to, and how much of it.

import { container, flag, leaf, list, NAME, number, options, type SchemaNode, TEXT, text } from './schema-node.ts';

const IDENTITY_TYPES = {
  inet: 'IPv4 address',
  inet6: 'IPv6 address',
  hostname: 'Host name',
  'distinguished-name': 'Distinguished name of a certificate',
  'user-at-hostname': 'E-mail address',
  'key-id': 'Opaque key identifier',
};

const sessionCount = () => leaf('session-count', 'Exchanges at a time', number(1, 10_000));
const backoff = (name: string, help: string) =>
  container(name, help, [leaf('timeout', 'Time to ignore the peer', number(1, 180, 'seconds'))]);
const FIXED_ADMISSION = 'how strangers are admitted is fixed';

export const SESSION: SchemaNode = container('session', 'Limits for exchanges', [
  container('half-open', 'Exchanges with peers that have proved nothing yet', [
    leaf('timeout', 'Time they have', number(1, 180, 'seconds'), { noEffect: FIXED_ADMISSION }),
    leaf('max-count', 'Most of them at a time', number(1, 10_000)),
    flag('discard-duplicate', 'Ignore a second start by the same peer', { noEffect: FIXED_ADMISSION }),
    container(
      'thresholds',
      'Where defence starts',
      [
        container('send-cookie', 'Ask for a cookie', [sessionCount()]),
        container('reduce-timeout', 'Give less time', [
          sessionCount(),
          leaf('timeout', 'Time that is given then', number(1, 180, 'seconds')),
        ]),
      ],
      { noEffect: FIXED_ADMISSION },
    ),
    container(
      'backoff-timeouts',
      'Ignore peers that failed',
      [
        backoff('init-phase-failure', 'Failed before authentication'),
        backoff('auth-phase-failure', 'Failed authentication'),
      ],
      { noEffect: FIXED_ADMISSION },
    ),
  ]),
  container(
    'full-open',
    'Exchanges with peers that have proved who they are',
    [
      container('incoming-exchange-max-rates', 'Most exchanges that a peer may start', [
        leaf('ike-rekey', 'Rekeys of the IKE SA', TEXT),
        leaf('ipsec-rekey', 'Rekeys of IPsec SAs', TEXT),
        leaf('keepalive', 'Liveness checks', TEXT),
      ]),
    ],
    { noEffect: FIXED_ADMISSION },
  ),
]);

export const BLOCKLISTS: SchemaNode = container(
  'blocklists',
  'Peers to refuse by identity',
  [
    list(
      'blocklist',
      'A list of rules',
      NAME,
      [
        leaf('description', 'Words for people', text(80)),
        list(
          'rule',
          'One rule',
          NAME,
          [
            leaf('description', 'Words for people', text(80)),
            container('match', 'Whom it is about', [
              leaf('role', 'Role of the peer', options({ initiator: 'It starts', responder: 'It answers' }), {
                default: 'initiator',
              }),
              leaf('id-type', 'Kind of identity', options(IDENTITY_TYPES)),
              leaf('id-pattern', 'Identity', text(256)),
            ]),
            container('then', 'What happens to it', [
              flag('discard', 'Say nothing', { choice: 'action' }),
              flag('reject', 'Say no', { choice: 'action' }),
              container('backoff', 'Ignore it for a while', [leaf('timeout', 'How long', number(1, 180, 'seconds'))]),
            ]),
          ],
          { maxEntries: 1000 },
        ),
      ],
      { maxEntries: 1000 },
    ),
  ],
  { noEffect: 'peers are not refused by identity yet' },
);
