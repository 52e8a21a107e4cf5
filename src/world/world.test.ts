import { describe, expect, it } from 'vitest';
import { Addr, Endpoint, Prefix, portOf } from '../ip/ip.ts';
import { printNftTable } from '../netfilter/netfilter.ts';
import { podAttachment, withoutPod, withPod } from './attachment.ts';
import { buildCluster, withSeconds } from './build.ts';
import { checkWorld } from './check.ts';
import { compilePolicy } from './compile-policy.ts';
import { defaultNodes, type NodeFacts, type PodFacts } from './facts.ts';
import { NETWORKS, type ProfileSpec, profileOf } from './profile.ts';
import { addressOf, hostOf, hostsOf, type World } from './world.ts';

const addr = (text: string) => Addr.parse(text);

function podOn(node: NodeFacts, name: string, at: number): PodFacts {
  if (node.podCIDR === undefined) throw new Error('no range');
  return { namespace: 'default', name, node: node.name, address: node.podCIDR.at(at) };
}

function cluster(spec: ProfileSpec, count = 3) {
  const profile = profileOf(spec);
  const nodes = withSeconds(profile, defaultNodes(profile, count));
  const [n1, n2] = nodes;
  if (n1 === undefined || n2 === undefined) throw new Error('no nodes');
  return { profile, nodes, n1, n2, world: buildCluster({ profile, nodes }) };
}

describe.each(NETWORKS)('the World of a cluster with the network %s', (network) => {
  const { profile, nodes, n1, n2, world } = cluster({ network });

  it('has the hosts of the brief in their order', () => {
    expect([...world.hosts.keys()]).toEqual(['router', 'control-plane', 'n1', 'n2', 'n3', 'external']);
    expect(hostsOf(world, 'node').map((host) => addressOf(host).text)).toEqual([
      '192.168.0.11',
      '192.168.0.12',
      '192.168.0.13',
    ]);
    expect(addressOf(hostOf(world, 'control-plane')).text).toBe('192.168.0.127');
  });

  it('is the same whether its pods were there at first or came later', () => {
    const pods = [podOn(n1, 'a', 10), podOn(n2, 'b', 11)];
    const [a, b] = pods as [PodFacts, PodFacts];
    const at = buildCluster({ profile, nodes, pods });
    const later = withPod(withPod(world, n1, a), n2, b);
    expect(later).toEqual(at);
    expect(withoutPod(later, n2, b)).toEqual(buildCluster({ profile, nodes, pods: [a] }));
    expect(withoutPod(withoutPod(later, n2, b), n1, a)).toEqual(world);
    expect(withoutPod(world, n1, a)).toBe(world);
  });

  it('makes the same attachment each time, which names interface and MAC by address', () => {
    const pod = podOn(n1, 'a', 10);
    expect(podAttachment(profile, n1, pod)).toEqual(podAttachment(profile, n1, { ...pod }));
    const [link] = podAttachment(profile, n1, pod).node.interfaces;
    expect(link?.name).toBe(`veth${pod.address.value.toString(16)}`);
  });

  it('masquerades what its model says', () => {
    const except = hostOf(world, 'n1').policies.flatMap((policy) =>
      policy.kind === 'masquerade' ? policy.except.map((prefix) => prefix.text) : [],
    );
    expect(except).toEqual(
      { tunnel: ['172.16.0.0/16'], vpc: ['172.16.0.0/16', '192.168.0.0/16'], eni: ['192.168.0.0/16'] }[
        network
      ],
    );
  });

  it('routes pod ranges at the router only where the VPC knows them', () => {
    const ranges = hostOf(world, 'router').routes.flatMap((route) =>
      route.kind === 'unicast' && profile.podCIDR.covers(route.to)
        ? [`${route.to} by ${route.interface}`]
        : [],
    );
    expect(ranges).toEqual(
      {
        tunnel: [],
        vpc: ['172.16.1.0/24 by n1', '172.16.2.0/24 by n2', '172.16.3.0/24 by n3'],
        eni: ['192.168.64.0/24 by n1-2', '192.168.65.0/24 by n2-2', '192.168.66.0/24 by n3-2'],
      }[network],
    );
  });

  it('prints its policies', async () => {
    const printed = ['router', 'n1'].flatMap((name) =>
      hostOf(world, name).policies.map(
        (policy) => `# ${name}\n${printNftTable(compilePolicy(policy)).join('\n')}\n`,
      ),
    );
    await expect(printed.join('\n')).toMatchFileSnapshot(`testdata/policies-${network}.nft`);
  });
});

describe('the network eni without ranges for nodes', () => {
  it('routes each pod by itself', () => {
    const profile = profileOf({ network: 'eni', podCIDR: '192.168.50.0/24' });
    const nodes = ['n1', 'n2'].map((name, at) => ({ name, address: addr(`192.168.0.${11 + at}`) }));
    const pod = { namespace: 'default', name: 'pod1', node: 'n2', address: addr('192.168.50.10') };
    const world = buildCluster({ profile, nodes, pods: [pod] });
    const to = hostOf(world, 'router').routes.find((route) => route.to.equals(Prefix.host(pod.address)));
    expect(to).toMatchObject({ kind: 'unicast', interface: 'n2-2' });
  });
});

describe('nodes whose pods have addresses of blocks', () => {
  const blocks = [['172.16.5.0/26'], ['172.16.9.64/26', '172.16.5.70/32']];
  const nodes = blocks.map((some, at) => ({
    name: `n${at + 1}`,
    address: addr(`192.168.0.${11 + at}`),
    tunnel: addr(`172.16.200.${at + 1}`),
    blocks: some.map((one) => Prefix.parse(one)),
  }));
  const pods = [
    { namespace: 'default', name: 'a', node: 'n1', address: addr('172.16.5.10') },
    { namespace: 'default', name: 'b', node: 'n2', address: addr('172.16.5.70') },
  ];
  const leads = (world: World, host: string, to: string) =>
    hostOf(world, host).routes.find((route) => route.to.equals(Prefix.parse(to)));

  it.each(['tunnel', 'vpc'])('are led to, block by block, in the network %s', (network) => {
    const world = buildCluster({ profile: profileOf({ network }), nodes, pods });
    const [from, by] = network === 'tunnel' ? ['n1', 'vxlan0'] : ['router', 'n2'];
    for (const block of blocks[1] ?? []) {
      expect(leads(world, from, block)).toMatchObject({ kind: 'unicast', interface: by });
    }
    expect(leads(world, 'n2', '172.16.5.70/32')).toMatchObject({ interface: 'vethac100546' });
    expect(hostOf(world, 'n2').interfaces.map(({ kind }) => kind)).not.toContain('bridge');
  });

  it('refuse an address that is in none', () => {
    const stray = { namespace: 'default', name: 'c', node: 'n1', address: addr('172.16.5.70') };
    expect(() => buildCluster({ profile: profileOf({}), nodes, pods: [stray] })).toThrow(
      /172\.16\.5\.70, which is not in 172\.16\.5\.0\/26 of node 'n1'/,
    );
  });
});

it('a hostPort prints what portmap has', async () => {
  const profile = profileOf({ network: 'vpc' });
  const [node] = defaultNodes(profile, 1);
  const to = Endpoint.parse('172.16.1.10:80');
  const near = Prefix.parse('172.16.1.0/24');
  const hostPorts = [
    { protocol: 'TCP', port: portOf(8080), to, near },
    { protocol: 'UDP', port: portOf(53), addr: addr('192.168.0.11'), to, near },
  ] as const;
  const world = buildCluster({ profile, nodes: node === undefined ? [] : [{ ...node, hostPorts }] });
  const printed = hostOf(world, 'n1')
    .policies.filter(({ kind }) => kind === 'host-ports')
    .flatMap((policy) => printNftTable(compilePolicy(policy)));
  await expect(`${printed.join('\n')}\n`).toMatchFileSnapshot('testdata/policies-host-ports.nft');
});

describe('further addresses of a machine', () => {
  it('are on its first interface, are its own, and the VPC delivers them', () => {
    const profile = profileOf({ network: 'vpc' });
    const others = [addr('192.168.7.7')];
    const nodes = defaultNodes(profile, 1).map((node) => ({ ...node, others }));
    const vpcHosts = [{ name: 'db', address: addr('192.168.3.3'), others: [addr('192.168.3.4')] }];
    const world = buildCluster({ profile, nodes, vpcHosts });
    for (const [host, other] of [
      ['n1', '192.168.7.7'],
      ['db', '192.168.3.4'],
    ] as const) {
      const eth0 = hostOf(world, host).interfaces.find(({ name }) => name === 'eth0');
      expect(eth0?.addresses.map((each) => each.addr.text)).toContain(other);
      const route = hostOf(world, 'router').routes.find(({ to }) => to.equals(Prefix.host(addr(other))));
      expect(route).toMatchObject({ interface: host });
      const [check] = hostOf(world, 'router').policies;
      expect(check && printNftTable(compilePolicy(check)).join()).toContain(other);
    }
  });
});

describe('a balancer and a NAT gateway', () => {
  const profile = profileOf({ network: 'vpc' });
  const nodes = defaultNodes(profile, 2);
  const to = (text: string) => Endpoint.parse(text);
  const http = {
    protocol: 'TCP',
    port: portOf(80),
    members: [to('192.168.0.11:30080'), to('192.168.0.12:30080')],
  } as const;
  const balancer = (keepClientAddress: boolean) => ({
    name: 'lb-1',
    address: addr('192.168.0.100'),
    keepClientAddress,
    listeners: [
      http,
      { ...http, port: portOf(81), members: [] },
      { ...http, port: portOf(443), ends: 'HTTPS', keepClientAddress: false } as const,
      { ...http, port: portOf(9000), lastPort: portOf(9005) },
    ],
  });
  const forwards = [
    { elastic: addr('100.64.2.1'), protocol: 'TCP', port: portOf(80), to: to('192.168.0.11:30080') },
  ] as const;
  const world = buildCluster({ profile, nodes, balancers: [balancer(true)], forwards });

  it('print their policies', async () => {
    const printed = ['router', 'lb-1'].flatMap((name) =>
      hostOf(world, name).policies.map(
        (policy) => `# ${name}\n${printNftTable(compilePolicy(policy)).join('\n')}\n`,
      ),
    );
    await expect(printed.join('\n')).toMatchFileSnapshot('testdata/policies-balancer.nft');
  });

  it('are led back to only by a balancer that keeps the address of clients', () => {
    const waysBack = (some: World) => hostOf(some, 'router').routingRules.length;
    expect(waysBack(world)).toBe(1);
    expect(waysBack(buildCluster({ profile, nodes, balancers: [balancer(false)] }))).toBe(0);
  });
});

describe('facts that contradict each other', () => {
  const { profile, n1, n2, world } = cluster({ network: 'tunnel' });
  const pod = podOn(n1, 'a', 10);
  const build =
    (nodes: readonly NodeFacts[], pods: readonly PodFacts[] = []) =>
    () =>
      buildCluster({ profile, nodes, pods });

  it.each<[string, () => unknown, RegExp]>([
    [
      'one address twice',
      build([n1, { ...n2, address: n1.address }]),
      /'n[12]' and 'n[12]' both have the address 192.168.0.11/,
    ],
    ['one name twice', build([n1, { ...n2, name: 'n1' }]), /two hosts 'n1'/],
    [
      'an elastic address twice',
      build([n1, { ...n2, elastic: addr('100.64.1.1') }]),
      /both have the address 100.64.1.1/,
    ],
    ['an unknown node', build([n2], [pod]), /pod 'default\/a' is on node 'n1', which does not exist/],
    [
      "another node's address",
      build([n1, n2], [{ ...pod, node: 'n2' }]),
      /172.16.1.10, which is not in 172.16.2.0\/24/,
    ],
    ['a pod twice', build([n1], [pod, pod]), /two pods 'default\/a'/],
    [
      'two pods of one address',
      build([n1], [pod, { ...pod, name: 'b' }]),
      /the address 172.16.1.10 of pod 'default\/b' is taken/,
    ],
    ['a node outside the VPC', build([{ ...n1, address: addr('10.9.9.9') }]), /not in the VPC/],
    [
      'overlapping ranges',
      build([n1, { ...n2, podCIDR: Prefix.parse('172.16.1.0/25') }]),
      /overlaps that of 'n1'/,
    ],
    [
      'a range outside',
      build([{ ...n1, podCIDR: Prefix.parse('10.0.0.0/24') }]),
      /not in the cluster's 172.16.0.0\/16/,
    ],
    ['no range', build([{ name: 'n1', address: n1.address }]), /has no podCIDR/],
    ['a link without an end', () => checkWorld(without(world, 'n1')), /'eth0' of 'n1', which is not there/],
  ])('%s', (_, build, message) => {
    expect(build).toThrow(
      expect.objectContaining({ code: 'FE011', message: expect.stringMatching(message) }),
    );
  });
});

function without(world: World, name: string): World {
  const hosts = new Map(world.hosts);
  hosts.delete(name);
  return { ...world, hosts };
}

it('builds 200 nodes with 5000 pods ', () => {
  const profile = profileOf({ network: 'tunnel' });
  const nodes = Array.from(
    { length: 200 },
    (_, at): NodeFacts => ({
      name: `node-${at}`,
      address: profile.vpcCIDR.at(512 + at),
      podCIDR: profile.podCIDR.subnet(24, at),
    }),
  );
  const pods = nodes.flatMap((node) =>
    Array.from({ length: 25 }, (_, at) => podOn(node, `${node.name}-${at}`, 10 + at)),
  );
  expect(buildCluster({ profile, nodes, pods }).hosts.size).toBe(5203);
});
