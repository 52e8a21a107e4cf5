/**
 * Scenarios are written with addresses of IPv4, and say by the profile which families the cluster has. In IPv6 each address has
 * one that reads alike: 172.16.1.10 is fd00:172:16:1::10.
 */
import { Addr, type Family } from '../../src/ip/ip.ts';
import { type ClusterProfile, familiesOf } from '../../src/world/profile.ts';

/** An address, a prefix or an address with a port, as it is called in the family. */
export function written(family: Family, text: string): string {
  if (family === 4) return text;
  const [, addr = '', length, port] = /^([\d.]+)(?:\/(\d+))?(?::(\d+))?$/.exec(text) ?? [];
  const six = inSix(addr.split('.').map(Number));
  if (length !== undefined) return `${six}/${lengthInSix(addr, Number(length))}`;
  return port === undefined ? six : `[${six}]:${port}`;
}

function inSix([a = 0, , c = 0, d = 0]: readonly number[]): string {
  switch (a) {
    case 127:
      return '::1';
    case 192:
      // With `eni` pods are in the fourth part of the VPC.
      return `fd00:192:168:${c >= 64 && c < 128 ? 4000 + c : c}::${d}`;
    case 172:
      return `fd00:172:16:${c}::${d}`;
    case 10:
      return `fd00:10:247::${(c * 256 + d).toString(16)}`;
    case 203:
      return `2001:db8::${d}`;
    default:
      return `2001:db8:${a}:${c}::${d}`;
  }
}

function lengthInSix(addr: string, length: number): number {
  if (addr.startsWith('127.') || length === 32) return 128;
  if (addr.startsWith('10.')) return 112;
  return length === 24 ? 64 : 48;
}

/** All of them in all of the cluster's families, the primary one first. */
export const inEach = (profile: ClusterProfile, ...texts: readonly string[]): string[] =>
  familiesOf(profile).flatMap((family) => texts.map((text) => written(family, text)));

export const addrsIn = (profile: ClusterProfile, ...texts: readonly string[]): Addr[] =>
  inEach(profile, ...texts).map((text) => Addr.parse(text));

/** A rule of iptables as ip6tables has it. */
export function ruleIn(family: Family, rule: string): string {
  if (family === 4) return rule;
  return rule
    .replaceAll(/\d+\.\d+\.\d+\.\d+(?:\/\d+|:\d+)?/g, (text) => written(family, text))
    .replaceAll('icmp-port-unreachable', 'icmp6-port-unreachable');
}
