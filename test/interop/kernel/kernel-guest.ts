// A stock Debian kernel in QEMU, by software emulation. The machine's own kernel may lack ESP and AH; this one has them, and is a judge
// that we did not write. The guest sees the machine's files read-only, so that node and the compiled project are there too. Right or
// wrong is what it tells; for speed it is useless.

import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { REPOSITORY_ROOT } from '../../shared.ts';
import { unpackKernel } from './unpack-kernel.ts';

/** What a run in the guest came to. `status` is the script's, or -1 if the guest never got to an end. */
export interface GuestResult {
  readonly status: number;
  readonly output: string;
  /** The guest's console, for when it did not even start. */
  readonly console: string;
}

const NEEDED = [
  'iperf3',
  'ping',
  'qemu-system-x86_64',
  'busybox',
  'cpio',
  'zstd',
  'xz',
  'depmod',
  'modprobe',
  'apt-get',
  'dpkg-deb',
];
/** What the guest needs before it sees the machine's files, and what the tests need after. */
const BOOT_MODULES = ['virtio_pci', '9pnet_virtio', '9p', 'overlay'];
const TEST_MODULES = [
  'esp4 esp6 ah4 ah6 xfrm_user veth tun udp_tunnel af_packet nf_tables',
  'authenc authencesn echainiv seqiv gcm ccm ctr cmac xcbc chacha20poly1305',
  'aesni_intel des_generic chacha_x86_64 poly1305_x86_64 sha512_generic drbg jitterentropy_rng',
].join(' ');

const { XDG_CACHE_HOME = join(homedir(), '.cache') } = process.env;
const INIT = join(REPOSITORY_ROOT, 'test/interop/kernel/guest-init.sh');
const CACHE = join(XDG_CACHE_HOME, 'sallyport', 'kernel-guest');

/** Why there can be no guest on this machine, or `undefined`. The kernel itself is fetched only by `prepareGuest`. */
export function whyNoGuest(): string | undefined {
  if (process.platform !== 'linux' || process.arch !== 'x64') return 'the kernel guest needs Linux on x86-64';
  if (process.getuid?.() !== 0) return 'the kernel guest reads the machine’s files as root';
  const missing = NEEDED.filter((program) => !isThere(program));
  return missing.length === 0 ? undefined : `the kernel guest needs ${missing.join(', ')}`;
}

/** Fetches and unpacks a kernel unless that was done before; returns why it could not be done, or `undefined`. */
export function prepareGuest(): string | undefined {
  return existsSync(join(CACHE, 'ready')) ? prepareInitrd() : (prepareKernel() ?? prepareInitrd());
}

function prepareKernel(): string | undefined {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-kernel-'));
  try {
    build(folder);
    writeFileSync(join(folder, 'ready'), '');
    mkdirSync(join(CACHE, '..'), { recursive: true });
    rmSync(CACHE, { recursive: true, force: true });
    cpSync(folder, CACHE, { recursive: true });
    return undefined;
  } catch (error) {
    return `no kernel for the guest: ${error instanceof Error ? error.message : String(error)}`;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** What is in the initrd names it: another first process is another file. */
function initrdPath(): string {
  const content = [readFileSync(INIT, 'utf8'), ...BOOT_MODULES].join('\n');
  return join(CACHE, `initrd-${createHash('sha256').update(content).digest('hex').slice(0, 16)}`);
}

function prepareInitrd(): string | undefined {
  const path = initrdPath();
  if (existsSync(path)) return undefined;
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-initrd-'));
  try {
    const release = readFileSync(join(CACHE, 'modules-path'), 'utf8').trim();
    mkdirSync(join(folder, 'lib/modules'), { recursive: true });
    symlinkSync(join(CACHE, release), join(folder, 'lib/modules', release));
    buildInitrd(folder, release);
    for (const file of readdirSync(CACHE))
      if (file.startsWith('initrd')) rmSync(join(CACHE, file), { recursive: true });
    // Whoever finds the name finds all of it.
    cpSync(join(folder, 'initrd'), `${path}.part`);
    renameSync(`${path}.part`, path);
    return undefined;
  } catch (error) {
    return `no first process for the guest: ${error instanceof Error ? error.message : String(error)}`;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Runs a shell script as root in the guest. */
export async function runInGuest(script: string, timeoutSeconds: number): Promise<GuestResult> {
  const exchange = mkdtempSync(join(tmpdir(), 'sallyport-guest-'));
  writeFileSync(join(exchange, 'test.sh'), script);
  writeFileSync(join(exchange, 'run.sh'), RUN_SCRIPT);
  try {
    const text = await runQemu(exchange, timeoutSeconds);
    const read = (name: string): string => {
      const path = join(exchange, name);
      return existsSync(path) ? readFileSync(path, 'utf8') : '';
    };
    const status = read('status').trim();
    return { status: status === '' ? -1 : Number(status), output: read('output'), console: text };
  } finally {
    rmSync(exchange, { recursive: true, force: true });
  }
}

const RUN_SCRIPT = `export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
modprobe -a -q ${TEST_MODULES}
# Or the kernel would start it twice for each new combination of algorithms, in vain, and under emulation that takes seconds.
echo >/proc/sys/kernel/modprobe
ip link set lo up
sh /mnt/guest/test.sh >/mnt/guest/output 2>&1
echo $? >/mnt/guest/status
sync
echo o >/proc/sysrq-trigger
sleep 30
`;

function runQemu(exchange: string, timeoutSeconds: number): Promise<string> {
  const modules = readFileSync(join(CACHE, 'modules-path'), 'utf8').trim();
  const child = spawn(
    'qemu-system-x86_64',
    [
      ...['-accel', 'tcg,thread=multi,tb-size=512', '-M', 'q35', '-cpu', 'max', '-smp', '2', '-m', '2048'],
      ...['-nodefaults', '-no-user-config', '-display', 'none', '-serial', 'stdio', '-no-reboot'],
      ...['-kernel', join(CACHE, 'vmlinux'), '-initrd', initrdPath()],
      ...['-virtfs', 'local,path=/,mount_tag=host,security_model=none,readonly=on,multidevs=remap'],
      ...['-virtfs', `local,path=${exchange},mount_tag=exchange,security_model=none`],
      ...[
        '-append',
        `console=ttyS0 quiet panic=-1 nokaslr mitigations=off cryptomgr.notests=1 guest.modules=${join(CACHE, modules)}`,
      ],
    ],
    { stdio: ['ignore', 'pipe', 'pipe'] },
  );
  let text = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (part: string) => {
      text += part;
    });
  const deadline = setTimeout(() => child.kill('SIGKILL'), timeoutSeconds * 1000);
  return new Promise((resolve) => {
    child.once('close', () => {
      clearTimeout(deadline);
      resolve(text);
    });
    child.once('error', (error) => resolve(`${text}${error.message}`));
  });
}

function build(folder: string): void {
  const depends = run(folder, 'apt-cache', ['depends', 'linux-image-amd64']);
  const name = depends.match(/Depends: (linux-image-\d\S*)/)?.[1];
  if (!name) throw new Error('Debian’s package lists name no kernel (apt-get update?)');
  run(folder, 'apt-get', ['download', '-qq', name]);
  const archive = readdirSync(folder).find((file) => file.endsWith('.deb'));
  if (!archive) throw new Error(`${name} was not downloaded`);
  run(folder, 'dpkg-deb', ['-x', archive, 'tree']);
  rmSync(join(folder, archive));

  const image = readdirSync(join(folder, 'tree/boot')).find((file) => file.startsWith('vmlinuz-'));
  if (!image) throw new Error(`${name} holds no kernel`);
  const release = image.replace('vmlinuz-', '');
  writeFileSync(join(folder, 'vmlinux'), unpackKernel(readFileSync(join(folder, 'tree/boot', image))));
  const base = existsSync(join(folder, 'tree/lib/modules')) ? 'tree' : 'tree/usr';
  run(folder, 'depmod', ['-b', base, release]);
  renameSync(join(folder, base, 'lib/modules', release), join(folder, release));
  rmSync(join(folder, 'tree'), { recursive: true });
  writeFileSync(join(folder, 'modules-path'), release);
}

function buildInitrd(folder: string, release: string): void {
  const root = join(folder, 'initrd-tree');
  for (const name of ['bin', 'dev', 'proc', 'sys', 'below', 'above', 'root', 'modules'])
    mkdirSync(join(root, name), { recursive: true });
  cpSync(run(folder, 'sh', ['-c', 'readlink -f "$(command -v busybox)"']).trim(), join(root, 'bin/busybox'));
  const order: string[] = [];
  for (const module of BOOT_MODULES) {
    // A module that is built in has no file; that is fine.
    const shown = spawnSync('modprobe', ['-d', folder, '-S', release, '--show-depends', module], {
      encoding: 'utf8',
    });
    for (const [, path = ''] of (shown.stdout ?? '').matchAll(/^insmod (\S+)/gm)) {
      const plain = basename(path).replace(/\.xz$/, '');
      if (order.includes(plain)) continue;
      order.push(plain);
      const target = join(root, 'modules', plain);
      if (path.endsWith('.xz')) run(folder, 'sh', ['-c', `xz -dc "${path}" >"${target}"`]);
      else cpSync(path, target);
    }
  }
  writeFileSync(join(root, 'modules/order'), order.map((name) => `${name}\n`).join(''));
  cpSync(INIT, join(root, 'init'));
  chmodSync(join(root, 'init'), 0o755);
  run(root, 'sh', ['-c', 'find . | cpio -o -H newc --quiet >../initrd']);
  rmSync(root, { recursive: true });
}

function run(folder: string, program: string, args: readonly string[]): string {
  const done = spawnSync(program, args, { cwd: folder, encoding: 'utf8', maxBuffer: 64 * 1024 * 1024 });
  if (done.status !== 0)
    throw new Error(`${program} ${args.join(' ')}: ${(done.stderr ?? done.error?.message ?? '').trim()}`);
  return done.stdout;
}

function isThere(program: string): boolean {
  return spawnSync('sh', ['-c', `command -v ${program}`], { encoding: 'utf8' }).status === 0;
}
