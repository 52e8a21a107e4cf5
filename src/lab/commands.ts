import { Addr, type Mac, type Prefix } from '../ip/ip.ts';
import {
  familyOfRule,
  type Host,
  hasIpv6,
  type Interface,
  type Neighbour,
  type Route,
  type RoutingRule,
  type RpFilter,
  type Veth,
} from '../world/world.ts';

/*
 * What the tools are told so that a host of the World comes to be: lines for `ip -batch`, `bridge -batch` and `sysctl -p`.
 * Pure, and the same for a realised World and for a pod that a node adds later.
 */

/** One end of a veth pair, and the namespace it is put into; `undefined` is the one where the command runs. */
export interface End {
  readonly netns: string | undefined;
  readonly interface: Veth;
}

/** Makes both ends where they belong at once, so that no name is ever taken in a namespace between. */
export function linkLine(a: End, b: End): string {
  return `link add ${end(a)} type veth peer ${end(b)}`;
}

function end({ netns, interface: { name, mac, mtu } }: End): string {
  const size = mtu === undefined ? '' : ` mtu ${mtu}`;
  return `name ${name} address ${mac}${size}${netns === undefined ? '' : ` netns ${netns}`}`;
}

/** What a kernel has for a link to nowhere. */
export type DummyKind = 'dummy' | 'ifb';

/**
 * Everything of a host that `ip` makes beside what is of IPv6 alone (see {@link ipv6Lines}), the host's namespace and its veth
 * interfaces being there.
 */
export function hostLines(host: Host, dummies: DummyKind = 'dummy'): string[] {
  return [
    ...[...host.interfaces].sort(bridgesFirst).flatMap((each) => interfaceLines(each, dummies)),
    ...host.neighbours.filter(({ addr }) => addr.family === 4).map(neighbourLine),
    ...host.routes.filter(({ to }) => to.family === 4).map(routeLine),
    ...host.routingRules.filter((rule) => familyOfRule(rule) === 4).map(ruleLine),
  ];
}

/**
 * What is of IPv6, for `ip -6 -batch`; the links are up. No address is tried for being taken (DAD), which takes a second: a
 * World holds each once. Whoever asks for neighbours does so from a link-local address.
 */
export function ipv6Lines(host: Host): string[] {
  if (!hasIpv6(host)) return [];
  const addresses = host.interfaces.flatMap((each) => [
    ...(each.kind === 'loopback' ? [] : [{ name: each.name, addr: linkLocalOf(each.mac), length: 64 }]),
    ...each.addresses
      .filter(({ addr }) => addr.family === 6)
      .map(({ addr, length }) => ({ name: each.name, addr, length })),
  ]);
  return [
    ...addresses.map(({ name, addr, length }) => `address add ${addr}/${length} dev ${name} nodad`),
    ...host.neighbours.filter(({ addr }) => addr.family === 6).map(neighbourLine),
    ...host.routes.filter(({ to }) => to.family === 6).map(routeLine),
    ...host.routingRules.filter((rule) => familyOfRule(rule) === 6).map(ruleLine),
  ];
}

/** As RFC 4291 makes it of the link's own address (modified EUI-64). */
function linkLocalOf({ text }: Mac): Addr {
  const [a = '', b, c, d, e, f] = text.split(':');
  const first = (Number.parseInt(a, 16) ^ 2).toString(16);
  return Addr.parse(`fe80::${first}${b}:${c}ff:fe${d}:${e}${f}`);
}

/** The addresses of IPv6 that a host has once it is whole, as /proc/net/ipv6_route writes them. */
export function ipv6Addresses(host: Host): string[] {
  const own = host.interfaces.flatMap(({ addresses }) => addresses.filter(({ addr }) => addr.family === 6));
  return own.map(({ addr }) => addr.value.toString(16).padStart(32, '0'));
}

/** A bridge has to be there before its ports; everything else keeps its order, which the kernel numbers. */
function bridgesFirst(a: Interface, b: Interface): number {
  return Number(b.kind === 'bridge') - Number(a.kind === 'bridge');
}

export function interfaceLines(each: Interface, dummies: DummyKind = 'dummy'): string[] {
  const { name } = each;
  const addresses = each.addresses
    .filter(({ addr }) => addr.family === 4)
    .map(({ addr, length }) => `address add ${addr}/${length} dev ${name}`);
  return [...made(each, dummies), ...addresses, `link set dev ${name} up`];
}

function made(each: Interface, dummies: DummyKind): string[] {
  switch (each.kind) {
    case 'loopback':
      return [];
    case 'veth':
      return each.bridge === undefined ? [] : [`link set dev ${each.name} master ${each.bridge}`];
    case 'bridge':
      return [`link add name ${each.name} address ${each.mac} type bridge`];
    case 'dummy':
      return [`link add name ${each.name} address ${each.mac} type ${dummies}`];
    case 'vxlan': {
      const { name, mac, mtu = 1450, vni, local, underlay, port } = each;
      return [
        `link add name ${name} address ${mac} mtu ${mtu} type vxlan id ${vni} local ${local} dev ${underlay} dstport ${port} nolearning`,
      ];
    }
  }
}

/** `replace`: a permanent entry also takes the place of one that asking has found. */
export function neighbourLine({ interface: link, addr, mac }: Neighbour): string {
  return `neighbour replace ${addr} lladdr ${mac} dev ${link} nud permanent`;
}

export function routeLine(route: Route): string {
  const table = `table ${route.table}`;
  if (route.kind === 'unmodelled') throw new Error(`${route.place}: '${route.text}' is read, never written`);
  if (route.kind !== 'unicast') return `route add ${route.kind} ${route.to} ${table}`;
  const source = route.source === undefined ? '' : ` src ${route.source}`;
  return `route add ${route.to}${hop(route.via)} dev ${route.interface} ${table}${source}`;
}

function hop(via: Addr | undefined): string {
  return via === undefined ? '' : ` via ${via} onlink`;
}

export function ruleLine(rule: RoutingRule): string {
  return `rule add ${ruleWords(rule)}`;
}

/** As `ip rule add` and `ip rule del` take it. */
export function ruleWords(rule: RoutingRule): string {
  const { priority, from, to, mark, input, output, table, discard, suppress } = rule;
  const part = (word: string, value: Prefix | string | number | undefined) =>
    value === undefined ? [] : [word, String(value)];
  return [
    ...(rule.isInverted ? ['not'] : []),
    ...part('priority', priority),
    ...part('from', from ?? 'all'),
    ...part('to', to),
    ...part('fwmark', mark && `${mark.value}/${mark.mask}`),
    ...part('iif', input),
    ...part('oif', output),
    ...(discard === undefined ? part('lookup', table) : [discard]),
    ...part('suppress_prefixlength', suppress),
  ].join(' ');
}

/** The forwarding entries of a host's VXLAN devices, for `bridge -batch`. */
export function forwardingLines(host: Host): string[] {
  return host.interfaces.flatMap((each) =>
    each.kind !== 'vxlan'
      ? []
      : each.forwarding.map(
          ({ mac, remote }) => `fdb append ${mac} dev ${each.name} dst ${remote} permanent`,
        ),
  );
}

/**
 * Keys with slashes, for an interface's name may hold a dot. Every interface is named, because it begins with what the
 * machine's first namespace has (devinet_init_net in net/ipv4/devinet.c), and the larger value counts.
 */
export function sysctlLines(host: Host): string[] {
  const { sysctls, interfaces } = host;
  const conf = (name: string, key: string, value: number) => `net/ipv4/conf/${name}/${key} = ${value}`;
  const filter = (name: string, value: RpFilter) => conf(name, 'rp_filter', value);
  return [
    `net/ipv4/ip_forward = ${Number(sysctls.ipForward)}`,
    ...(sysctls.routeLocalnet === true ? [conf('all', 'route_localnet', 1)] : []),
    filter('all', sysctls.rpFilter),
    filter('default', sysctls.rpFilter),
    ...interfaces.map((each) => filter(each.name, each.rpFilter ?? sysctls.rpFilter)),
    // Not part of the World: nobody may be told of shorter ways behind its back. The flags are or-ed.
    ...['all', 'default', ...interfaces.map((each) => each.name)].map((name) =>
      conf(name, 'send_redirects', 0),
    ),
    // Nor is time part of it: a refusal must not stay away because others came before it.
    'net/ipv4/icmp_ratelimit = 0',
    'net/ipv4/icmp_ratemask = 0',
    // Pods may listen on port 80 as anybody, as container runtimes have it.
    'net/ipv4/ip_unprivileged_port_start = 0',
  ];
}

/**
 * What has to be said of IPv6 before the links are up: no address but those of the World, and nobody to be believed who tells
 * of ways. What is made later has it from `default`.
 */
export function ipv6SysctlLines(host: Host): string[] {
  if (!hasIpv6(host)) return [];
  const names = [
    'all',
    'default',
    ...host.interfaces.flatMap(({ kind, name }) => (kind === 'veth' ? name : [])),
  ];
  const conf = {
    disable_ipv6: 0,
    // 1: none is made by the kernel.
    addr_gen_mode: 1,
    accept_dad: 0,
    dad_transmits: 0,
    accept_ra: 0,
    autoconf: 0,
    router_solicitations: 0,
    accept_redirects: 0,
  };
  return [
    ...names.flatMap((name) =>
      Object.entries(conf).map(([key, value]) => `net/ipv6/conf/${name}/${key} = ${value}`),
    ),
    // Of `all` it sets every interface, also those that are still to come.
    `net/ipv6/conf/all/forwarding = ${Number(host.sysctls.ipv6Forwarding === true)}`,
    'net/ipv6/icmp/ratelimit = 0',
    // Of the errors, only "too big": what the mask leaves out is spared the machine's own limit, too (icmpv6_global_allow).
    'net/ipv6/icmp/ratemask = 2',
  ];
}

/**
 * The keys that a kernel may lack: without br_netfilter a bridge never calls iptables, without IPv6 there is none, and the
 * machine's limit of ICMP errors may be none of a namespace's. A host without an address of IPv6 has none of it, so that
 * nothing goes another way unseen.
 */
export function optionalSysctlLines(host: Host): string[] {
  const bridged = host.interfaces.some((each) => each.kind === 'bridge');
  const { bridgeNfCallIptables, bridgeNfCallIp6tables = false } = host.sysctls;
  return [
    ...(hasIpv6(host) ? [] : ['all', 'default'].map((name) => `net/ipv6/conf/${name}/disable_ipv6 = 1`)),
    // Each namespace has its own since Linux 6.13.
    'net/ipv4/icmp_msgs_per_sec = 100000',
    ...(bridged && !bridgeNfCallIptables ? ['net/bridge/bridge-nf-call-iptables = 0'] : []),
    ...(bridged && !bridgeNfCallIp6tables ? ['net/bridge/bridge-nf-call-ip6tables = 0'] : []),
  ];
}
