/**
 * The Service rules of one node, in network namespaces that vanish: loading everything, and changing one endpoint. Peers, in
 * the same run and by the same tools: the layout kube-proxy's nftables mode writes (a chain and an anonymous map for each
 * Service, a chain for each endpoint), and iptables with kube-proxy's chains.
 */
import type { Exec } from '../src/exec/exec.ts';
import { Addr, Prefix } from '../src/ip/ip.ts';
import type { EndpointSlice, Service } from '../src/kube/objects.ts';
import { openCage } from '../src/lab/cage.ts';
import { DEFAULT_CONFIG, type NodeFacts, planService } from '../src/proxy/proxy.ts';
import type { Backend } from '../src/sync/backend.ts';
import { IptablesBackend } from '../src/sync/iptables-backend.ts';
import { NftablesBackend } from '../src/sync/nftables-backend.ts';
import { percentile, report } from './report.ts';

const ENDPOINTS = 5;
const CHANGES = 20;
const NODE: NodeFacts = {
  name: 'n0',
  ips: [Addr.parse('192.168.0.11')],
  podCIDRs: [Prefix.parse('172.16.0.0/24')],
};

interface Took {
  readonly load: number;
  readonly change: number;
}

export async function run(args: readonly string[]): Promise<void> {
  const n = Number(args[0] ?? 10_000);
  const cage = await openCage();
  try {
    const place = async (name: string): Promise<Exec> => {
      await cage.exec().run({ file: 'ip', args: ['netns', 'add', name] });
      return cage.exec(name);
    };
    const ours = await measure(new NftablesBackend(await place('ours'), NODE, DEFAULT_CONFIG), n);
    const chains = await measurePeer(await place('chains'), n);
    const iptables = await measure(new IptablesBackend(await place('iptables'), NODE, DEFAULT_CONFIG), n);
    const size = `${n} Services x ${ENDPOINTS} endpoints`;
    const peers = [
      ['nftables with chains of each Service, tool alone', chains],
      ['iptables', iptables],
    ] as const;
    for (const [peer, took] of peers) {
      const load = `proxy: ${size}, plan, compile and load; peer: ${peer}`;
      report({ name: load, ours: ours.load, peer: took.load, unit: 'ms', n: 1 });
      const change = `proxy: one endpoint changed among ${size}, p50; peer: ${peer}`;
      report({ name: change, ours: ours.change, peer: took.change, unit: 'ms', n: CHANGES });
    }
  } finally {
    await cage.close();
  }
}

async function measure(backend: Backend, n: number): Promise<Took> {
  const objects = Array.from({ length: n }, (_, at) => [service(at), slice(at)] as const);
  const began = performance.now();
  for (const [one, endpoints] of objects) replace(backend, one, endpoints);
  await backend.restore();
  const load = performance.now() - began;
  const changes: number[] = [];
  for (let at = 0; at < CHANGES; at++) {
    const start = performance.now();
    replace(backend, service(at), slice(at, 1));
    await backend.apply();
    changes.push(performance.now() - start);
  }
  return { load, change: percentile(changes, 0.5) };
}

function replace(backend: Backend, one: Service, endpoints: EndpointSlice): void {
  const { plan } = planService(NODE, one, [endpoints]);
  if (plan === undefined) throw new Error('the Service has a plan');
  backend.replace(plan.name, plan);
}

const clusterIP = (at: number): string => `10.${100 + (at >> 16)}.${(at >> 8) & 255}.${at & 255}`;
/** Endpoint `which` of Service `at`; `moved` is another pod in place of the last one. */
const pod = (at: number, which: number, moved = 0): string =>
  `172.${16 + which + (which === ENDPOINTS - 1 ? moved : 0)}.${(at >> 8) & 255}.${at & 255}`;

const service = (at: number): Service => ({
  metadata: { name: `s${at}`, namespace: 'default' },
  spec: { clusterIP: clusterIP(at), ports: [{ name: 'http', port: 80 }] },
});

const slice = (at: number, moved = 0): EndpointSlice => ({
  metadata: {
    name: `s${at}-1`,
    namespace: 'default',
    labels: { 'kubernetes.io/service-name': `s${at}` },
  },
  addressType: 'IPv4',
  ports: [{ name: 'http', port: 8080 }],
  endpoints: Array.from({ length: ENDPOINTS }, (_, which) => ({
    addresses: [pod(at, which, moved)],
    nodeName: `n${which}`,
  })),
});

/** Only nft's own time is taken: what it would cost to compute this text is left to the peer's favour. */
async function measurePeer(exec: Exec, n: number): Promise<Took> {
  const nft = async (stdin: string): Promise<number> => {
    const start = performance.now();
    await exec.run({ file: 'nft', args: ['-f', '-'], stdin, timeoutMs: 600_000 });
    return performance.now() - start;
  };
  const load = await nft(peerTable(n));
  const changes: number[] = [];
  for (let at = 0; at < CHANGES; at++) changes.push(await nft(peerChange(at)));
  return { load, change: percentile(changes, 0.5) };
}

function peerTable(n: number): string {
  const lines = [
    'add table ip peer',
    'add map ip peer service-ips { type ipv4_addr . inet_proto . inet_service : verdict; }',
    'add set ip peer cluster-ips { type ipv4_addr; }',
    'add chain ip peer nat-prerouting { type nat hook prerouting priority -100; }',
    'add chain ip peer mark-for-masquerade',
    'add rule ip peer mark-for-masquerade mark set mark | 0x4000',
    'add rule ip peer nat-prerouting ip daddr . meta l4proto . th dport vmap @service-ips',
  ];
  for (let at = 0; at < n; at++) {
    lines.push(`add chain ip peer service-${at}`);
    for (let which = 0; which < ENDPOINTS; which++) lines.push(...peerEndpoint(at, which));
    lines.push(
      `add rule ip peer service-${at} ip daddr ${clusterIP(at)} tcp dport 80 ip saddr != 172.16.0.0/24 jump mark-for-masquerade`,
      peerBalance(at),
      `add element ip peer cluster-ips { ${clusterIP(at)} }`,
      `add element ip peer service-ips { ${clusterIP(at)} . tcp . 80 : goto service-${at} }`,
    );
  }
  return `${lines.join('\n')}\n`;
}

function peerEndpoint(at: number, which: number, moved = 0): string[] {
  const address = pod(at, which, moved);
  const chain = `ip peer endpoint-${at}-${address}`;
  return [
    `add chain ${chain}`,
    `add rule ${chain} ip saddr ${address} jump mark-for-masquerade`,
    `add rule ${chain} meta l4proto tcp dnat to ${address}:8080`,
  ];
}

function peerBalance(at: number, moved = 0): string {
  const goes = Array.from(
    { length: ENDPOINTS },
    (_, which) => `${which} : goto endpoint-${at}-${pod(at, which, moved)}`,
  );
  return `add rule ip peer service-${at} numgen random mod ${ENDPOINTS} vmap { ${goes.join(', ')} }`;
}

function peerChange(at: number): string {
  const last = ENDPOINTS - 1;
  return [
    ...peerEndpoint(at, last, 1),
    `flush chain ip peer service-${at}`,
    `add rule ip peer service-${at} ip daddr ${clusterIP(at)} tcp dport 80 ip saddr != 172.16.0.0/24 jump mark-for-masquerade`,
    peerBalance(at, 1),
    `flush chain ip peer endpoint-${at}-${pod(at, last)}`,
    `delete chain ip peer endpoint-${at}-${pod(at, last)}`,
    '',
  ].join('\n');
}
