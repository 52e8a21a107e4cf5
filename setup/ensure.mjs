/**
 * Set-up: makes sure the system tools and the npm packages are there, and says in one line what it cannot install.
 * Runs on the machine's own Node (20 or later) before anything else exists, so it is plain JavaScript without imports
 * from node_modules. Quick when nothing is missing: it looks at the PATH and compares two files.
 *
 * With `--with-vm` also what the guest needs that brings IPVS where the kernel has none (src/lab/vm), as `npm test` does.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { accessSync, constants, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));

/** Tool -> Debian package. kubectl comes last: its package stands in the way of others that bring one. */
const TOOLS = {
  ip: 'iproute2',
  nft: 'nftables',
  'iptables-restore': 'iptables',
  conntrack: 'conntrack',
  sysctl: 'procps',
  crun: 'crun',
  conmon: 'conmon',
  busybox: 'busybox-static',
  curl: 'curl',
  nslookup: 'bind9-dnsutils',
  nginx: 'nginx-light',
  socat: 'socat',
  kubectl: 'kubernetes-client',
};

/** The guest runs the tools of this machine, ipvsadm and ipset among them. */
const VM_TOOLS = {
  'qemu-system-x86_64': 'qemu-system-x86',
  ipvsadm: 'ipvsadm',
  ipset: 'ipset',
  xz: 'xz-utils',
};

const path = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/sbin'];

function found(tool) {
  return path.some((folder) => {
    try {
      accessSync(join(folder, tool), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

function run(file, args, options = {}) {
  const { status, error } = spawnSync(file, args, { cwd: root, stdio: ['ignore', 2, 2], ...options });
  if (error) throw error;
  if (status !== 0) {
    console.error(`fairlead: '${file} ${args.join(' ')}' ended with ${status}`);
    process.exit(1);
  }
}

/** Debian starts a service it installs; the tools are wanted here, not a web server on the machine's port 80. */
function withoutServices(install) {
  const policy = '/usr/sbin/policy-rc.d';
  const ours = !existsSync(policy);
  if (ours) writeFileSync(policy, '#!/bin/sh\nexit 101\n', { mode: 0o755 });
  try {
    install();
  } finally {
    if (ours) rmSync(policy);
  }
}

function ensureTools(tools) {
  const packages = [
    ...new Set(
      Object.keys(tools)
        .filter((tool) => !found(tool))
        .map((tool) => tools[tool]),
    ),
  ];
  if (packages.length === 0) return;
  const command = `apt-get install -y --no-install-recommends ${packages.join(' ')}`;
  if (process.getuid() !== 0 || !found('apt-get')) {
    console.error(`fairlead: some tools are missing; as root: ${command}`);
    return;
  }
  console.error(`fairlead: installing ${packages.join(', ')}`);
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  run('apt-get', ['update', '-qq'], { env });
  withoutServices(() =>
    run('apt-get', ['install', '-y', '-qq', '--no-install-recommends', ...packages], { env }),
  );
}

/**
 * A stamp in node_modules remembers for which lock file it was filled. `npm install` and not `npm ci`: npm leaves binaries
 * of other platforms out of a lock file where the registry does not offer them, and `npm ci` then refuses its own lock.
 */
function ensurePackages() {
  const stamp = join(root, 'node_modules', '.fairlead-lock');
  const lock = readFileSync(join(root, 'package-lock.json'), 'utf8');
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === lock) return;
  console.error('fairlead: installing npm packages');
  run('npm', ['install', '--no-audit', '--no-fund', '--loglevel=error']);
  writeFileSync(stamp, lock);
}

ensureTools(process.argv.includes('--with-vm') ? { ...VM_TOOLS, ...TOOLS } : TOOLS);
ensurePackages();
const node = join(root, 'node_modules', '.bin', 'node');
const version = execFileSync(node, ['--version'], { encoding: 'utf8' });
if (Number(/^v(\d+)/.exec(version)?.[1]) < 22) {
  console.error(`fairlead: ${node} is ${version.trim()}; Node 22.18 or later is needed`);
  process.exit(1);
}
