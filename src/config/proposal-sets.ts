// Junos' predefined proposals, in the order in which they are offered.

import type {
  AuthenticationMethod,
  DhGroup,
  EncryptionAlgorithm,
  HashAlgorithm,
  IntegrityAlgorithm,
} from '../model/algorithms.ts';

export interface IkeSetMember {
  readonly authenticationMethod: AuthenticationMethod;
  readonly encryption: EncryptionAlgorithm;
  readonly dhGroup: DhGroup;
  readonly hash: HashAlgorithm;
}

export interface IpsecSet {
  readonly pfsGroup?: DhGroup;
  readonly members: readonly { readonly encryption: EncryptionAlgorithm; readonly integrity: IntegrityAlgorithm }[];
  /** No document that we could read says what is in it. */
  readonly isUnverified: boolean;
}

export interface IkeSet {
  readonly members: readonly IkeSetMember[];
  readonly isUnverified: boolean;
}

const psk = (encryption: EncryptionAlgorithm, dhGroup: DhGroup, hash: HashAlgorithm): IkeSetMember => ({
  authenticationMethod: 'pre-shared-keys',
  encryption,
  dhGroup,
  hash,
});

const certificate = (
  curve: '256' | '384',
  encryption: EncryptionAlgorithm,
  dhGroup: DhGroup,
  hash: HashAlgorithm,
): IkeSet => ({
  members: [{ authenticationMethod: `ecdsa-signatures-${curve}`, encryption, dhGroup, hash }],
  isUnverified: true,
});

export const IKE_PROPOSAL_SETS: Readonly<Record<string, IkeSet>> = {
  basic: { members: [psk('des-cbc', 'group1', 'sha1'), psk('des-cbc', 'group1', 'md5')], isUnverified: false },
  compatible: {
    members: [
      psk('3des-cbc', 'group2', 'sha1'),
      psk('3des-cbc', 'group2', 'md5'),
      psk('des-cbc', 'group2', 'sha1'),
      psk('des-cbc', 'group2', 'md5'),
    ],
    isUnverified: false,
  },
  standard: {
    members: [psk('3des-cbc', 'group2', 'sha1'), psk('aes-128-cbc', 'group2', 'sha1')],
    isUnverified: false,
  },
  'suiteb-gcm-128': certificate('256', 'aes-128-cbc', 'group19', 'sha-256'),
  'suiteb-gcm-256': certificate('384', 'aes-256-cbc', 'group20', 'sha-384'),
  'prime-128': certificate('256', 'aes-128-gcm', 'group19', 'sha-256'),
  'prime-256': certificate('384', 'aes-256-gcm', 'group20', 'sha-384'),
};

const gcm = (encryption: EncryptionAlgorithm, pfsGroup: DhGroup): IpsecSet => ({
  pfsGroup,
  members: [{ encryption, integrity: 'none' }],
  isUnverified: true,
});

export const IPSEC_PROPOSAL_SETS: Readonly<Record<string, IpsecSet>> = {
  basic: {
    members: [
      { encryption: 'des-cbc', integrity: 'hmac-sha1-96' },
      { encryption: 'des-cbc', integrity: 'hmac-md5-96' },
    ],
    isUnverified: false,
  },
  compatible: {
    members: [
      { encryption: '3des-cbc', integrity: 'hmac-sha1-96' },
      { encryption: '3des-cbc', integrity: 'hmac-md5-96' },
      { encryption: 'des-cbc', integrity: 'hmac-sha1-96' },
      { encryption: 'des-cbc', integrity: 'hmac-md5-96' },
    ],
    isUnverified: false,
  },
  standard: {
    pfsGroup: 'group2',
    members: [
      { encryption: '3des-cbc', integrity: 'hmac-sha1-96' },
      { encryption: 'aes-128-cbc', integrity: 'hmac-sha1-96' },
    ],
    isUnverified: false,
  },
  'suiteb-gcm-128': gcm('aes-128-gcm', 'group19'),
  'suiteb-gcm-256': gcm('aes-256-gcm', 'group20'),
  'prime-128': gcm('aes-128-gcm', 'group19'),
  'prime-256': gcm('aes-256-gcm', 'group20'),
};
