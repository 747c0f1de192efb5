// `security pki`: kept and checked, so that a certificate configuration survives; certificates are not used yet.

import {
  ADDRESS,
  container,
  flag,
  leaf,
  leafList,
  list,
  NAME,
  number,
  open,
  options,
  type SchemaNode,
  TEXT,
  text,
} from './schema-node.ts';
import { tracing } from './schema-tracing.ts';

const URL = text(500);

const OCSP = container('ocsp', 'Online status protocol', [
  list('url', 'Responder', URL, [], { layout: 'one-line' }),
  leaf('nonce-payload', 'Nonce in requests', options({ enable: 'Send one', disable: 'Send none' })),
  flag('disable-responder-revocation-check', 'Trust the certificate of the responder'),
  flag('accept-unknown-status', 'Accept a certificate that the responder does not know'),
  container('connection-failure', 'When no responder answers', [
    flag('fallback-crl', 'Use revocation lists', { choice: 'fallback' }),
    flag('disable', 'Do not check', { choice: 'fallback' }),
  ]),
]);

const CRL = container('crl', 'Revocation lists', [
  container('disable', 'When not to check', [flag('on-download-failure', 'When there is no list')]),
  list('url', 'Where lists are', URL, [leaf('password', 'Password for it', TEXT, { isSecret: true })]),
  leaf('refresh-interval', 'Time between downloads', number(0, 8784, 'hours')),
]);

const CA_PROFILE = list(
  'ca-profile',
  'A certificate authority',
  NAME,
  [
    leaf('ca-identity', 'Its name', TEXT),
    leaf('source-address', 'Address to ask it from', ADDRESS),
    leaf('proxy-profile', 'Proxy on the way', TEXT),
    leaf('routing-instance', 'Routing table on the way', TEXT),
    container('enrollment', 'How to get certificates', [
      leaf('url', 'Where to', TEXT),
      leaf('retry', 'Attempts', number(0, 1080), { default: '1000' }),
      leaf('retry-interval', 'Time between attempts', number(0, 3600, 'seconds'), { default: '600' }),
    ]),
    container('revocation-check', 'How to learn that a certificate was revoked', [
      flag('use-crl', 'From lists', { choice: 'method' }),
      flag('use-ocsp', 'By asking', { choice: 'method' }),
      flag('disable', 'Not at all', { choice: 'method' }),
      OCSP,
      CRL,
    ]),
    container('administrator', 'Who issues certificates', [leaf('email-address', 'E-mail address', TEXT)]),
  ],
  { isOpen: true },
);

const days = () => leaf('days', 'Days before the end', number(1, 100), { default: '60' });

export const SECURITY_PKI: SchemaNode = container(
  'pki',
  'Certificates',
  [
    CA_PROFILE,
    list('trusted-ca-group', 'Several authorities', text(63), [
      leafList('ca-profiles', 'Their profiles', text(63), { maxEntries: 20 }),
    ]),
    list('ca-profile-group', 'Authorities loaded from a bundle', NAME, [
      leaf('cert-base-count', 'Number of the last one', number(0, 2048)),
    ]),
    open('default-trusted-ca-certs', 'Well-known authorities'),
    container('trap', 'Warnings before a certificate ends', [
      list('certificate-id', 'Our certificate', TEXT, [days()]),
      list('ca-identity', 'Certificate of an authority', TEXT, [days()]),
      container('all-certificates', 'All of them', [days()]),
    ]),
    open('cloud-certificate-profile', 'Certificates from a cloud'),
    open('auto-re-enrollment', 'Renewal'),
    open('acme-account-key', 'Accounts for ACME'),
    tracing('Tracing of certificates', {
      'certificate-verification': 'Verification',
      'online-crl-check': 'Revocation lists',
      enrollment: 'Enrollment',
      'acme-enrollment': 'Enrollment with ACME',
      all: 'Everything',
    }),
  ],
  { noEffect: 'certificates are not used yet' },
);
