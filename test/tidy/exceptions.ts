// Where the house rules bend, each with its reason. A rule that bends often is the wrong rule: change it instead.

/** Files over the limit of lines: most lines they may have, and why they are not split. */
export const LONG_FILES: Readonly<Record<string, { readonly lines: number; readonly reason: string }>> = {};

/** Functions over the limit of lines, as `path name`. */
export const LONG_FUNCTIONS: Readonly<Record<string, string>> = {};

/** Files that nothing imports: programs, and what a worker thread or a test starts by its path. */
export const ENTRY_POINTS: Readonly<Record<string, string>> = {
  'bin/sallyport.ts': 'the executable',
  'test/fuzz/main.ts': 'npm run fuzz',
};

/** Exported values that only tests import, as `path name`. */
export const EXPORTED_FOR: Readonly<Record<string, string>> = {
  'src/wire/pcap.ts encodePcapng':
    'captures that tests write, and read back; recording what a gateway sees will use it',
  'src/config/configuration-guide.ts configurationGuide': 'scripts/generate-configuration-guide.mjs calls it',
  'src/host/configuration-storage.ts FolderStorage':
    'the bench and tests of commits; the daemon keeps its configuration with it once it has a shell',
  'src/operations/configuration-mode.ts ConfigurationMode':
    'scripts drive it; the interactive shell is built on it later',
  'src/ike/v1/key-material.ts skeyidFromSignatures':
    'recordings with RSA and ECDSA certificates prove it; authentication with certificates will use it',
};

/** Files in a protocol folder that implement no RFC by themselves. */
export const WITHOUT_RFC: Readonly<Record<string, string>> = {
  'src/wire/link-layer.ts': 'RFC 894 has no sections; VLAN tags are IEEE 802.1Q',
  'src/ike/v1/exchange-record.ts': 'keeps what the exchanges, which cite, have sent and received',
  'src/ike/v1/isakmp-sa-status.ts': 'what operators see of an SA',
  'src/ike/v1/phase1-mode.ts': 'the interface that Main and Aggressive Mode, which cite, have in common',
  'src/ike/v1/remote-access.ts': 'joins XAUTH and Mode Config, which say where they are written',
  'src/ike/v1/sa-owner.ts': 'the interface between an SA and its endpoint',
};

/** Files that may convert types with `as` beyond values that they brand themselves. */
export const MAY_CONVERT_TYPES: Readonly<Record<string, string>> = {};
