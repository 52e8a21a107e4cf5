import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { Fault } from '../fault/fault.ts';
import { environment } from './machine.ts';

/**
 * Throws {@link Fault} FE001 that names every one of these tools that cannot be run here, so that they are installed in one
 * go, before anything is begun.
 */
export function requireTools(tools: readonly string[]): void {
  const absent = tools.filter((tool) => !isProgram(tool));
  if (absent.length === 0) return;
  const packages = [...new Set(absent.map(packageOf))].join(' ');
  const named = absent.map((tool) => `'${tool}'`).join(', ');
  const what = absent.length === 1 ? `the tool ${named} is missing` : `the tools ${named} are missing`;
  throw new Fault('FE001', `this host: ${what}`, `apt-get install ${packages}`);
}

function isProgram(tool: string): boolean {
  return (environment().PATH ?? '').split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, tool), constants.X_OK);
      return true;
    } catch {
      // Not there, or not ours to run: the next folder may have it.
      return false;
    }
  });
}

/** The Debian package that brings a tool. */
export function packageOf(tool: string): string {
  return PACKAGES[tool] ?? tool;
}

/** The Debian packages of the tools Fairlead runs, for the cure of a missing one. */
const PACKAGES: Readonly<Record<string, string>> = {
  ip: 'iproute2',
  bridge: 'iproute2',
  ss: 'iproute2',
  nft: 'nftables',
  'iptables-restore': 'iptables',
  'iptables-save': 'iptables',
  sysctl: 'procps',
  nsenter: 'util-linux',
  unshare: 'util-linux',
  setpriv: 'util-linux',
  perl: 'perl-base',
  nslookup: 'bind9-dnsutils',
  crun: 'crun',
  conmon: 'conmon',
  ipvsadm: 'ipvsadm',
  ipset: 'ipset',
  genl: 'iproute2',
  'qemu-system-x86_64': 'qemu-system-x86',
  'apt-get': 'apt',
  'apt-cache': 'apt',
  'dpkg-deb': 'dpkg',
  flock: 'util-linux',
  xz: 'xz-utils',
};
