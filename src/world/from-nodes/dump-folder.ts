/** What one node printed, or one pod's namespace: a folder of files, read by somebody who may. */
export interface DumpFolder {
  /** The node's name, or `namespace_name` of a pod; a pod's may be anything, then its address tells who it is. */
  readonly name: string;
  /** As a person finds it: what is said of its files begins with it. */
  readonly path: string;
  /** Texts by file name; those of {@link DUMP_FILES} count. */
  readonly files: ReadonlyMap<string, string>;
  /** Of a node: the network namespaces of its pods, if they were asked. */
  readonly pods: readonly DumpFolder[];
}

/** One file of a folder, and what prints it. */
export interface DumpFile {
  readonly name: string;
  /** The tool, without which there is no such file. */
  readonly tool: string;
  /** For `sh`, run in the namespace. */
  readonly command: string;
  /** Without it there is no telling what the host is. */
  readonly needed?: true;
}

const DEVICES = `ip -o link show | sed 's/^[0-9]*: \\([^:@]*\\).*/\\1/'`;
const SYSCTLS =
  'net\\.(ipv4\\.(ip_forward|conf\\..*\\.(rp_filter|route_localnet|accept_local|src_valid_mark)|vs\\.conntrack)|ipv6\\.conf\\.all\\.forwarding|bridge\\.bridge-nf-call-ip6?tables) ';

/** `-N` names tables by number and `-p` gives each thing its lines; breaking nft's one line makes its rules have lines, too. */
export const DUMP_FILES: readonly DumpFile[] = [
  { name: 'link.json', tool: 'ip', command: 'ip -j -p -d link show', needed: true },
  { name: 'addr.json', tool: 'ip', command: 'ip -j -p addr show', needed: true },
  { name: 'route.json', tool: 'ip', command: 'ip -N -4 -j -p route show table all', needed: true },
  { name: 'route6.json', tool: 'ip', command: 'ip -N -6 -j -p route show table all' },
  { name: 'rule.json', tool: 'ip', command: 'ip -N -4 -j -p rule show', needed: true },
  { name: 'rule6.json', tool: 'ip', command: 'ip -N -6 -j -p rule show' },
  { name: 'neigh.json', tool: 'ip', command: 'ip -j -p neigh show' },
  { name: 'fdb.json', tool: 'bridge', command: 'bridge -j -p fdb show' },
  {
    name: 'tc-filter.txt',
    tool: 'tc',
    command: `for device in $(${DEVICES}); do for way in ingress egress; do tc filter show dev "$device" "$way" 2>/dev/null | sed "s/^/$device $way /"; done; done`,
  },
  { name: 'sysctl.txt', tool: 'sysctl', command: `sysctl -a 2>/dev/null | grep -E '^${SYSCTLS}'` },
  { name: 'ss.txt', tool: 'ss', command: 'ss -Hlntu' },
  { name: 'nft.json', tool: 'nft', command: `nft -j list ruleset | sed 's/}, {"/},\\\n{"/g'` },
  { name: 'iptables-save.txt', tool: 'iptables-save', command: 'iptables-save' },
  { name: 'ip6tables-save.txt', tool: 'ip6tables-save', command: 'ip6tables-save' },
  // Asking the older kind where nobody uses it would load its modules.
  {
    name: 'iptables-legacy-save.txt',
    tool: 'iptables-legacy-save',
    command: 'if grep -q . /proc/net/ip_tables_names 2>/dev/null; then iptables-legacy-save; fi',
  },
  { name: 'ipset.txt', tool: 'ipset', command: 'ipset save' },
  { name: 'ipvsadm.txt', tool: 'ipvsadm', command: 'if [ -e /proc/net/ip_vs ]; then ipvsadm -Sn; fi' },
];

/** The name under which a folder holds those of its node's pods. */
export const PODS_FOLDER = 'pods';
