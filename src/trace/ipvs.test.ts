import { describe, expect, it } from 'vitest';
import { Addr, Endpoint, Mac, portOf } from '../ip/ip.ts';
import {
  Comment,
  IpSet,
  IptablesChain,
  IptablesRule,
  IptablesRuleset,
  IptablesTable,
  IpvsTable,
  JumpTo,
  Mark,
  MasqueradeTarget,
  MatchSet,
  RealServer,
  ReturnToCaller,
  SetMark,
  VirtualServer,
} from '../netfilter/netfilter.ts';
import { buildCluster } from '../world/build.ts';
import { defaultNodes, type NodeFacts } from '../world/facts.ts';
import { type Network, profileOf } from '../world/profile.ts';
import type { Dummy, Host, World } from '../world/world.ts';
import { walk } from './trace.ts';

const EIGHTY = portOf(80);
const NODE_PORT = portOf(30080);
const CLUSTER_IP = Addr.parse('10.247.0.10');
const BALANCER = Addr.parse('100.64.9.1');
const EXTERNAL = Addr.parse('203.0.113.10');

interface Options {
  readonly network: Network;
  /** Whether kube-proxy gives nodes without a local endpoint every endpoint, or none. */
  readonly isEmptyElsewhere?: boolean;
  readonly masquerades?: boolean;
  readonly nodeListens?: boolean;
}

/** One pod on n1 behind a clusterIP, a node port and a balancer's address that the nodes capture. */
function clusterWith({
  network,
  isEmptyElsewhere = false,
  masquerades = false,
  nodeListens = false,
}: Options) {
  const profile = profileOf({ network });
  const listeners = nodeListens ? [{ protocol: 'TCP' as const, port: portOf(443) }] : [];
  const nodes = defaultNodes(profile, 3).map((node) => ({ ...node, listeners }));
  const [n1, n2] = nodes;
  if (n1 === undefined || n2 === undefined) throw new Error('there are three nodes');
  const pod = (name: string, node: NodeFacts, at: number) => ({
    namespace: 'default',
    name,
    node: node.name,
    address: node.podCIDR?.at(at) ?? EXTERNAL,
    listeners: [{ protocol: 'TCP' as const, port: EIGHTY }],
  });
  const web = pod('web', n1, 10);
  const plain = buildCluster({ profile, nodes, pods: [web, pod('near', n1, 11), pod('far', n2, 10)] });
  const hosts = new Map(plain.hosts);
  for (const node of nodes) {
    const ends =
      isEmptyElsewhere && node.name !== 'n1' ? [] : [RealServer(new Endpoint(web.address, EIGHTY))];
    const host = hosts.get(node.name);
    if (host !== undefined) hosts.set(node.name, withIpvs(host, node, ends, masquerades));
  }
  const world: World = { ...plain, hosts };
  const ask = (from: string, to: Addr, port: number) =>
    walk(world, { from, to, port: portOf(port), protocol: 'TCP' })
      .map(({ verdict, reason, sourceSeen }) =>
        verdict === 'reached' ? `sees ${sourceSeen}` : `${verdict}: ${reason}`,
      )
      .join(' or ');
  return { ask, n1, n2, web };
}

function withIpvs(host: Host, node: NodeFacts, ends: readonly RealServer[], masquerades: boolean): Host {
  const ours: Dummy = {
    kind: 'dummy',
    name: 'kube-ipvs0',
    mac: Mac.parse('02:00:00:00:00:01'),
    addresses: [CLUSTER_IP, BALANCER].map((addr) => ({ addr, length: 32 })),
  };
  const servers = [
    VirtualServer('TCP', new Endpoint(CLUSTER_IP, EIGHTY), ends),
    VirtualServer('TCP', new Endpoint(BALANCER, EIGHTY), ends),
    VirtualServer('TCP', new Endpoint(node.address, NODE_PORT), ends),
  ];
  const entry = (addr: Addr) => [
    { kind: 'address', addr } as const,
    { kind: 'port', protocol: 'TCP', port: EIGHTY } as const,
  ];
  const set = IpSet('KUBE-MARKED', 'hash:ip,port', masquerades ? [entry(CLUSTER_IP), entry(BALANCER)] : []);
  const mark = IptablesRule([Comment('marked'), MatchSet(set.name, ['dst', 'dst'])], SetMark(0x4000, 0x4000));
  const nat = IptablesTable('nat', [
    IptablesChain('PREROUTING', [mark], 'ACCEPT'),
    IptablesChain('OUTPUT', [mark], 'ACCEPT'),
    IptablesChain('POSTROUTING', [IptablesRule([], JumpTo('KUBE-POSTROUTING'))], 'ACCEPT'),
    IptablesChain('KUBE-POSTROUTING', [
      IptablesRule([Mark(0x4000, 0x4000, true)], ReturnToCaller()),
      IptablesRule([], MasqueradeTarget()),
    ]),
  ]);
  return {
    ...host,
    interfaces: [...host.interfaces, ours],
    packetFilter: { ipvs: IpvsTable(servers), ipsets: [set], iptables: [IptablesRuleset(4, [nat])] },
  };
}

describe('IPVS', () => {
  it('carries a clusterIP from pods, masqueraded where rules say so', () => {
    const plain = clusterWith({ network: 'tunnel' });
    expect(plain.ask('default/far', CLUSTER_IP, 80)).toBe('sees 172.16.2.10');
    expect(plain.ask('default/near', CLUSTER_IP, 80)).toBe('sees 172.16.1.11');
    const masquerading = clusterWith({ network: 'tunnel', masquerades: true });
    expect(masquerading.ask('default/far', CLUSTER_IP, 80)).toBe('sees 172.16.2.1');
    expect(masquerading.ask('n3', CLUSTER_IP, 80)).toBe('sees 172.16.3.1');
    expect(masquerading.ask('n1', CLUSTER_IP, 80)).toBe('sees 192.168.0.11');
  });

  it('loses the answer that a bridge switches past it', () => {
    expect(clusterWith({ network: 'vpc' }).ask('default/near', CLUSTER_IP, 80)).toBe(
      'timeout: replyNotTranslated',
    );
  });

  it('refuses at a virtual server without destinations', () => {
    const { ask, n2 } = clusterWith({ network: 'vpc', isEmptyElsewhere: true });
    expect(ask('external', n2.elastic ?? EXTERNAL, 30080)).toBe('refused: emptyVirtualServer');
    expect(ask('default/far', n2.address, 30080)).toBe('refused: emptyVirtualServer');
    expect(ask('n2', n2.address, 30080)).toBe('refused: emptyVirtualServer');
  });

  it('lets pods through and has the wrong host answer outside clients where nothing is masqueraded', () => {
    const vpc = clusterWith({ network: 'vpc' });
    expect(vpc.ask('default/far', vpc.n2.address, 30080)).toBe('sees 172.16.2.10');
    expect(vpc.ask('external', vpc.n2.elastic ?? EXTERNAL, 30080)).toMatch(/^timeout/);
    expect(vpc.ask('n2', vpc.n2.address, 30080)).toBe('sees 192.168.0.12');
    // Through a tunnel the node's address comes in by a device that does not lead back to it.
    const tunnel = clusterWith({ network: 'tunnel' });
    expect(tunnel.ask('default/far', tunnel.n2.address, 30080)).toBe('sees 172.16.2.10');
    expect(tunnel.ask('n2', tunnel.n2.address, 30080)).toBe('timeout: reversePathFilter');
  });

  it("has a node dial a captured balancer's address from that address", () => {
    const plain = clusterWith({ network: 'vpc' });
    expect(plain.ask('n1', BALANCER, 80)).toBe('sees 100.64.9.1');
    expect(plain.ask('n2', BALANCER, 80)).toMatch(/^timeout/);
    const masquerading = clusterWith({ network: 'vpc', masquerades: true });
    expect(masquerading.ask('n2', BALANCER, 80)).toBe('sees 192.168.0.12');
  });

  it("refuses other ports of a captured address, or has the node's own process answer", () => {
    expect(clusterWith({ network: 'vpc' }).ask('default/far', BALANCER, 443)).toBe('refused: noListener');
    const taken = clusterWith({ network: 'vpc', nodeListens: true });
    expect(taken.ask('default/far', BALANCER, 443)).toBe('sees 172.16.2.10');
  });

  it('forks by the scheduler, and does not guess at those that remember', () => {
    const profile = profileOf({ network: 'vpc' });
    const plain = buildCluster({ profile, nodes: defaultNodes(profile, 1) });
    const at = new Endpoint(Addr.parse('192.168.0.11'), EIGHTY);
    const server = (scheduler: string) =>
      VirtualServer('TCP', at, [RealServer(at, 'masq', 3), RealServer(new Endpoint(at.addr, portOf(81)))], {
        scheduler,
      });
    const outcomes = (scheduler: string) => {
      const node = plain.hosts.get('n1');
      if (node === undefined) throw new Error('there is a node');
      const host: Host = { ...node, packetFilter: { ipvs: IpvsTable([server(scheduler)]) } };
      const world = { ...plain, hosts: new Map(plain.hosts).set('n1', host) };
      return walk(world, { from: 'control-plane', to: at.addr, port: EIGHTY, protocol: 'TCP' });
    };
    expect(outcomes('rr').map((one) => one.probability)).toEqual([0.5, 0.5]);
    expect(outcomes('wrr').map((one) => one.probability)).toEqual([0.75, 0.25]);
    const [unknown] = outcomes('sh');
    expect(unknown?.verdict).toBe('unknown');
    expect(unknown?.deciding?.step.rule).toBe('ipvsadm -A -t 192.168.0.11:80 -s sh');
  });
});
