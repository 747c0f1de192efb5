// Installs what is missing and builds; plain JavaScript on Node's own modules, since it runs before anything is there.
// `--peers` also installs the independent peers that the interop tests talk to (root on Debian only).
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = join(dirname(fileURLToPath(import.meta.url)), '..');
const NODE_FLOOR = [20, 19];

/** What a test needs from Debian: a file that proves it is there, and the package that brings it. */
const PEERS = [
  ['/usr/lib/ipsec/charon', 'strongswan'],
  ['/usr/sbin/swanctl', 'strongswan-swanctl'],
  ['/usr/lib/ipsec/plugins/libstrongswan-kernel-libipsec.so', 'libcharon-extra-plugins'],
  ['/usr/lib/ipsec/plugins/libstrongswan-curve25519.so', 'libstrongswan-extra-plugins'],
  ['/usr/sbin/ip', 'iproute2'],
  ['/usr/sbin/nft', 'nftables'],
  ['/usr/bin/ping', 'iputils-ping'],
  ['/usr/bin/tshark', 'tshark'],
  ['/usr/bin/iperf3', 'iperf3'],
  ['/usr/bin/ike-scan', 'ike-scan'],
  ['/usr/sbin/vpnc', 'vpnc'],
  ['/usr/share/doc/python3-scapy', 'python3-scapy'],
  ['/usr/bin/qemu-system-x86_64', 'qemu-system-x86'],
  ['/bin/busybox', 'busybox-static'],
  ['/usr/bin/cpio', 'cpio'],
  ['/usr/bin/zstd', 'zstd'],
  ['/usr/bin/xz', 'xz-utils'],
  ['/sbin/modprobe', 'kmod'],
];

checkNode();
installDependencies();
build();
if (process.argv.includes('--peers')) installPeers();

function checkNode() {
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major > NODE_FLOOR[0] || (major === NODE_FLOOR[0] && minor >= NODE_FLOOR[1])) return;
  fail(`Node ${process.versions.node} is too old: Sallyport needs ${NODE_FLOOR.join('.')} or newer`);
}

function installDependencies() {
  const wanted = join(ROOT, 'package-lock.json');
  const installed = join(ROOT, 'node_modules', '.package-lock.json');
  if (existsSync(installed) && statSync(installed).mtimeMs >= statSync(wanted).mtimeMs) return;
  say('installing npm dependencies (npm install)');
  // koffi's install script would only look for a compiler that its prebuilt package makes unnecessary.
  // Not `npm ci`: it refuses a lock file without the binaries for other platforms, which not every registry carries. The versions in the
  // lock file are installed all the same, and `--no-save` leaves it as it is.
  run('npm', ['install', '--no-save', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error']);
}

function build() {
  say('building (tsc)');
  run(process.execPath, [join(ROOT, 'node_modules', 'typescript', 'bin', 'tsc'), '-p', ROOT]);
}

function installPeers() {
  const missing = PEERS.filter(([path]) => !existsSync(path)).map(([, name]) => name);
  if (missing.length === 0) return;
  const debian = existsSync('/etc/os-release') && /^ID(_LIKE)?=.*debian/m.test(readFileSync('/etc/os-release', 'utf8'));
  if (!debian || process.getuid?.() !== 0) {
    say(
      `not installing ${missing.join(', ')}: that needs root on Debian; tests that use them will be skipped, by name`,
    );
    return;
  }
  say(`installing Debian packages for the interop tests: ${missing.join(', ')}`);
  const environment = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const quiet = ['-y', '-qq', '-o', 'Dpkg::Use-Pty=0', '--no-install-recommends'];
  const updated = spawnSync('apt-get', ['update', '-qq'], { stdio: 'inherit', env: environment });
  const installed = spawnSync('apt-get', ['install', ...quiet, ...missing], {
    stdio: ['ignore', 'ignore', 'inherit'],
    env: environment,
  });
  if (updated.status !== 0 || installed.status !== 0)
    say('some packages could not be installed; tests that use them will be skipped, by name');
}

function run(command, args) {
  const done = spawnSync(command, args, { cwd: ROOT, stdio: 'inherit' });
  if (done.error) fail(`${command}: ${done.error.message}`);
  if (done.status !== 0) process.exit(done.status ?? 1);
}

function say(text) {
  process.stderr.write(`sallyport setup: ${text}\n`);
}

function fail(text) {
  say(text);
  process.exit(1);
}
