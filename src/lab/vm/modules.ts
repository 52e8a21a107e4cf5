import { Fault } from '../../fault/fault.ts';

/*
 * Which modules the guest's kernel loads at boot. The guest has no /lib/modules, so nothing is loaded on demand: what the
 * rules of a World or of kube-proxy may ask for is named here.
 */

/** What the guest stands on: its files, its channel. In this order. */
const BASE = ['virtio_pci', '9pnet_virtio', '9p', 'overlay', 'virtio_console'];

/** libcrc32c asks for it by the name of its algorithm only (a softdep). */
const CHECKSUM = 'crc32c_generic';

const LINKS = ['dummy', 'veth', 'bridge', 'vxlan', 'br_netfilter', 'macvlan', 'ipvlan', 'tun'];

const CONNECTIONS = ['nf_conntrack', 'nf_conntrack_netlink', 'nf_log_syslog', 'sctp'];

const IPVS = [
  'ip_vs',
  'ip_vs_rr',
  'ip_vs_wrr',
  'ip_vs_lc',
  'ip_vs_wlc',
  'ip_vs_sh',
  'ip_vs_dh',
  'ip_vs_sed',
].concat(['ip_vs_nq', 'ip_vs_mh', 'ip_vs_fo', 'ip_vs_lblc', 'ip_vs_lblcr', 'ip_vs_ovf', 'xt_ipvs']);

const SETS = [
  'xt_set',
  'ip_set_bitmap_port',
  'ip_set_hash_ip',
  'ip_set_hash_net',
  'ip_set_hash_ipport',
].concat(['ip_set_hash_ipportip', 'ip_set_hash_ipportnet', 'ip_set_hash_netport', 'ip_set_list_set']);

const NFTABLES = [
  'nf_tables',
  'nft_chain_nat',
  'nft_nat',
  'nft_masq',
  'nft_redir',
  'nft_ct',
  'nft_log',
].concat(
  ['nft_limit', 'nft_quota', 'nft_hash', 'nft_numgen', 'nft_objref', 'nft_connlimit', 'nft_fib_inet'],
  ['nft_reject_inet', 'nft_reject_ipv4', 'nft_reject_ipv6', 'nft_compat', 'nft_socket', 'nft_tproxy'],
);

/** Tables of the old kind, for iptables-legacy; the matches and targets serve both kinds. */
const IPTABLES = ['nat', 'filter', 'mangle', 'raw'].flatMap((table) => [
  `iptable_${table}`,
  `ip6table_${table}`,
]);

const MATCHES = [
  'addrtype',
  'comment',
  'connlimit',
  'connmark',
  'conntrack',
  'hashlimit',
  'iprange',
  'length',
]
  .concat(['limit', 'mac', 'mark', 'multiport', 'nfacct', 'owner', 'physdev', 'pkttype', 'recent', 'sctp'])
  .concat(['socket', 'state', 'statistic', 'string', 'tcpmss', 'tcpudp', 'u32'])
  .map((name) => `xt_${name}`);

const TARGETS = ['CT', 'LOG', 'MASQUERADE', 'NETMAP', 'REDIRECT', 'TCPMSS', 'TPROXY', 'TRACE', 'nat']
  .map((name) => `xt_${name}`)
  .concat(['ipt_REJECT', 'ip6t_REJECT', 'ipt_rpfilter', 'ip6t_rpfilter']);

export const WANTED: readonly string[] = [
  CHECKSUM,
  ...BASE,
  ...LINKS,
  ...CONNECTIONS,
  ...NFTABLES,
  ...IPTABLES,
  ...MATCHES,
  ...TARGETS,
  ...SETS,
  ...IPVS,
];

export interface Module {
  readonly name: string;
  readonly content: Buffer;
}

/**
 * The wanted modules and all they depend on, each after its dependencies.
 * @param read gives a module by its name, in which `-` and `_` are one; undefined if the kernel has none (it may be built in)
 */
export function inLoadingOrder(
  wanted: readonly string[],
  read: (name: string) => Buffer | undefined,
): Module[] {
  const order = new Map<string, Module>();
  const visit = (name: string) => {
    if (order.has(name)) return;
    const content = read(name);
    if (content === undefined) return;
    for (const dependency of dependenciesOf(name, content)) visit(dependency);
    order.set(name, { name, content });
  };
  for (const name of wanted) visit(name);
  return [...order.values()];
}

/** A module says in its .modinfo section, among zero-ended texts, what it needs: `depends=a,b-c`. */
function dependenciesOf(name: string, content: Buffer): string[] {
  const key = '\0depends=';
  const at = content.indexOf(key);
  if (at < 0) throw new Fault('FE014', `the kernel module '${name}' names no dependencies`, 'fetch it again');
  const start = at + key.length;
  const list = content.toString('latin1', start, content.indexOf(0, start));
  return list === '' ? [] : list.split(',').map(moduleName);
}

/** Files and dependencies write `-` and `_` as they please; the kernel knows `_` alone. */
export function moduleName(file: string): string {
  return file.replace(/\.ko$/, '').replaceAll('-', '_');
}
