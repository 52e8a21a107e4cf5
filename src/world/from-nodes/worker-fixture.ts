/** A node of somebody else, for tests, as its tools print it. */
import type { DumpFolder } from './from-nodes.ts';

type Json = Readonly<Record<string, unknown>>;

/** One thing a line, as the collector has it. */
const json = (items: readonly Json[]): string => `[${items.map((item) => JSON.stringify(item)).join(',\n')}]`;

const device = (ifindex: number, ifname: string, address: string, more: Json = {}): Json => ({
  ifindex,
  ifname,
  flags: ['BROADCAST', 'UP', 'LOWER_UP'],
  mtu: 1500,
  link_type: 'ether',
  address,
  ...more,
});
const kind = (info_kind: string, info_data: Json = {}): Json => ({ linkinfo: { info_kind, info_data } });
const address = (ifname: string, local: string, prefixlen: number): Json => ({
  ifname,
  addr_info: [{ family: local.includes(':') ? 'inet6' : 'inet', local, prefixlen, scope: 'global' }],
});
export const own = (local: string, dev: string): Json => ({
  type: '2',
  dst: local,
  dev,
  table: '255',
  protocol: '2',
});
const LO = { ...device(1, 'lo', '00:00:00:00:00:00'), link_type: 'loopback' };
const RULES = [
  { priority: 0, src: 'all', table: '255' },
  { priority: 32766, src: 'all', table: '254' },
  { priority: 32767, src: 'all', table: '253' },
];

/** A cloud's virtual machine with flannel: a card in a subnet, pods on a bridge, a tunnel that has learned, and Docker. */
export const WORKER: Readonly<Record<string, string>> = {
  'link.json': json([
    LO,
    device(2, 'ens5', 'fa:16:3e:00:00:01'),
    device(3, 'docker0', '02:42:00:00:00:01', kind('bridge')),
    device(4, 'flannel.1', '02:0f:00:00:00:01', {
      ...kind('vxlan', { id: 1, local: '192.168.0.11', link: 'ens5', port: 8472, learning: false }),
      mtu: 1450,
    }),
    device(5, 'cni0', '0a:58:0a:f4:01:01', kind('bridge')),
    device(6, 'veth1234', '06:00:00:00:00:01', {
      ...kind('veth'),
      link_index: 2,
      link_netnsid: 0,
      master: 'cni0',
    }),
    device(7, 'tunl0', '0.0.0.0', { ...kind('ipip'), link_type: 'ipip' }),
  ]),
  'addr.json': json([
    address('lo', '127.0.0.1', 8),
    address('ens5', '192.168.0.11', 24),
    address('docker0', '172.17.0.1', 16),
    address('flannel.1', '10.244.1.0', 32),
    {
      ifname: 'cni0',
      addr_info: [
        { family: 'inet', local: '10.244.1.1', prefixlen: 24 },
        { family: 'inet6', local: 'fe80::1', prefixlen: 64 },
      ],
    },
  ]),
  'route.json': json([
    { dst: 'default', gateway: '192.168.0.253', dev: 'ens5', protocol: '16', metric: 100, flags: [] },
    { dst: '10.244.1.0/24', dev: 'cni0', protocol: '2', scope: '253', prefsrc: '10.244.1.1', flags: [] },
    { dst: '10.244.2.0/24', gateway: '10.244.2.0', dev: 'flannel.1', flags: ['onlink'] },
    { dst: '192.168.0.0/24', dev: 'ens5', protocol: '2', scope: '253', prefsrc: '192.168.0.11', flags: [] },
    { dst: '203.0.113.99', flags: [], nexthops: [{ gateway: '192.168.0.2', dev: 'ens5', weight: 1 }] },
    own('192.168.0.11', 'ens5'),
    own('10.244.1.0', 'flannel.1'),
    own('10.244.1.1', 'cni0'),
    own('172.17.0.1', 'docker0'),
    { type: '3', dst: '10.244.1.255', dev: 'cni0', table: '255', protocol: '2', flags: [] },
  ]),
  'rule.json': json([
    ...RULES,
    { priority: 9, src: 'all', fwmark: '0x10', fwmask: '0xff', table: 'mine', ipproto: 'tcp' },
  ]),
  'neigh.json': json([
    { dst: '10.244.2.0', dev: 'flannel.1', lladdr: '02:0f:00:00:00:02', state: ['PERMANENT'] },
    { dst: '10.244.1.7', dev: 'cni0', lladdr: '0a:58:0a:f4:01:07', state: ['STALE'] },
    { dst: '192.168.0.253', dev: 'ens5', lladdr: 'fa:fa:fa:fa:fa:01', state: ['REACHABLE'] },
    { dst: '192.168.0.9', dev: 'ens5', state: ['FAILED'] },
  ]),
  'fdb.json': json([
    {
      mac: '02:0f:00:00:00:02',
      ifname: 'flannel.1',
      dst: '192.168.0.12',
      flags: ['self'],
      state: 'permanent',
    },
    { mac: '0a:58:0a:f4:01:07', ifname: 'veth1234', flags: [], master: 'cni0' },
    { mac: '33:33:00:00:00:01', ifname: 'ens5', flags: ['self'], state: 'permanent' },
  ]),
  'sysctl.txt':
    'net.ipv4.ip_forward = 1\nnet.ipv4.conf.all.rp_filter = 0\nnet.ipv4.conf.ens5.rp_filter = 2\nnet.ipv4.conf.eth0/7.rp_filter = 1\nnet.bridge.bridge-nf-call-iptables = 1\nnet.ipv4.conf.all.src_valid_mark = 1\n',
  'ss.txt':
    'Netid State Recv-Q Send-Q Local Address:Port Peer Address:Port\ntcp LISTEN 0 4096 127.0.0.1:10248 0.0.0.0:*\ntcp LISTEN 0 4096 *:10250 *:*\ntcp LISTEN 0 128 [::]:22 [::]:*\nudp UNCONN 0 0 127.0.0.53%lo:53 0.0.0.0:*\n',
  'iptables-save.txt': '*filter\n:FORWARD DROP [1:60]\nCOMMIT\n',
};

export const folder = (files: Readonly<Record<string, string>>, name = 'worker-1'): DumpFolder => ({
  name,
  path: `nodes/${name}`,
  files: new Map(Object.entries(files)),
  pods: [],
});

/** Its cluster, of which the other node prints nothing. */
export const OBJECTS = `
apiVersion: v1
kind: Node
metadata: { name: worker-1 }
spec: { podCIDR: 10.244.1.0/24 }
status: { addresses: [{ type: InternalIP, address: 192.168.0.11 }] }
---
apiVersion: v1
kind: Node
metadata: { name: worker-2 }
spec: { podCIDR: 10.244.2.0/24 }
status: { addresses: [{ type: InternalIP, address: 192.168.0.12 }] }
---
apiVersion: v1
kind: Pod
metadata: { namespace: default, name: web, labels: { app: web } }
spec: { nodeName: worker-1, containers: [{ name: web, image: web, ports: [{ containerPort: 80 }] }] }
status: { phase: Running, podIP: 10.244.1.7 }
---
apiVersion: v1
kind: Service
metadata: { namespace: default, name: web }
spec: { clusterIP: 10.247.0.10, selector: { app: web }, ports: [{ port: 80 }] }
`;
