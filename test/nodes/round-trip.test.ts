/**
 * What nodes print, against the kernel that printed it: a World is built, its nodes are asked by the collector, and the
 * World that comes out of it is walked as the first one is, and as the kernel does. Then somebody adds rules by hand.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Cage, openCage } from '../../src/lab/cage.ts';
import { prove, startListeners, textOf } from '../../src/lab/prove/prove.ts';
import { realise } from '../../src/lab/realise.ts';
import { walk } from '../../src/trace/trace.ts';
import { readDump, withNodes } from '../../src/world/from-nodes/from-nodes.ts';
import type { Cluster } from '../../src/world/from-objects/from-objects.ts';
import type { World } from '../../src/world/world.ts';
import { collect } from './collecting.ts';
import { exampleCluster, inWords, questionsOf } from './example.ts';

/** By hand, on a node each: tools that know nothing of the World. */
const BY_HAND: readonly (readonly [node: string, tool: string, ...args: string[]])[] = [
  ['n1', 'iptables', '-I', 'FORWARD', '-p', 'tcp', '-i', 'eth0', '--dport', '80', '-j', 'REJECT'],
  // Made after iptables' own, so that its chain is asked first: it drops what the rule above would refuse.
  ['n1', 'nft', 'add table ip later'],
  ['n1', 'nft', 'add chain ip later forward { type filter hook forward priority 0 ; policy accept ; }'],
  [
    'n1',
    'nft',
    'add rule ip later forward iifname "eth0" ip saddr { 192.168.0.12, 203.0.113.10 } tcp dport 80 drop',
  ],
  ['n1', 'ip6tables', '-A', 'INPUT', '-p', 'tcp', '-j', 'DROP'],
  ['n2', 'iptables', '-A', 'INPUT', '-p', 'tcp', '-m', 'multiport', '--dports', '30080,31000', '-j', 'DROP'],
  [
    'n2',
    'iptables',
    '-t',
    'raw',
    '-A',
    'PREROUTING',
    '-p',
    'tcp',
    '--syn',
    '-s',
    '203.0.113.10',
    '-j',
    'DROP',
  ],
  ['n2', 'ipset', 'create', 'banned', 'hash:net'],
  ['n2', 'ipset', 'add', 'banned', '192.168.0.13'],
  ['n2', 'iptables', '-I', 'INPUT', '-m', 'set', '--match-set', 'banned', 'src', '-j', 'REJECT'],
  ['n3', 'nft', 'add table inet admin'],
  ['n3', 'nft', 'add chain inet admin out { type filter hook output priority 5 ; policy accept ; }'],
  [
    'n3',
    'nft',
    'add set inet admin ports { type inet_service ; flags interval ; elements = { 8000-8100, 80 } ; }',
  ],
  ['n3', 'nft', 'add rule inet admin out tcp dport @ports reject with tcp reset'],
  ['n3', 'ip', 'route', 'add', 'blackhole', '100.64.1.1'],
  ['n3', 'ip', 'rule', 'add', 'to', '100.64.1.2', 'lookup', '77', 'priority', '50'],
  ['n3', 'ip', 'route', 'add', 'unreachable', 'default', 'table', '77'],
  ['n3', 'ip', 'link', 'add', 'left', 'type', 'veth', 'peer', 'name', 'right'],
  ['n3', 'ip', 'address', 'add', '172.30.0.1/24', 'dev', 'left'],
];

describe.each([
  { network: 'tunnel', proxyMode: 'iptables', pods: false },
  { network: 'vpc', proxyMode: 'nftables', pods: true },
  { network: 'eni', proxyMode: 'iptables', pods: false, cloud: 'generic', podCIDR: '192.168.64.0/18' },
])('network $network, proxy $proxyMode, pods asked: $pods', ({ pods, ...set }) => {
  let cage: Cage;
  let cluster: Cluster;

  beforeAll(async () => {
    cluster = exampleCluster(set);
    cage = await openCage();
    await realise(cluster.world, cage);
    await startListeners(cluster.world, cage);
  });
  afterAll(() => cage.close());

  const reread = async (): Promise<Cluster> =>
    withNodes(cluster, (await collect(cluster.world, cage, { pods })).map(readDump));

  /** What the walk foretells and what the kernel does, where they differ. */
  const differences = async (world: World) => {
    const { mismatches, unknowns, agreements } = await prove(world, cage, questionsOf(cluster));
    expect(agreements.length + mismatches.length + unknowns.length).toBe(questionsOf(cluster).length);
    return [...mismatches, ...unknowns].map(({ question: { from, to, port }, outcomes, answers }) => {
      const got = new Set(answers.map(textOf));
      return `${from} -> ${to}:${port}: ${inWords(outcomes)}, and it is ${[...got].join(', ')}`;
    });
  };

  it('comes out as it went in', async () => {
    const { world, problems } = await reread();
    expect(problems.slice(cluster.problems.length)).toEqual([]);
    const both = questionsOf(cluster).map((question) => ({
      question: `${question.from} -> ${question.to}:${question.port}`,
      read: inWords(walk(world, question)),
      compiled: inWords(walk(cluster.world, question)),
    }));
    expect(both.filter(({ read, compiled }) => read !== compiled)).toEqual([]);
    expect(await differences(world)).toEqual([]);
  });

  it('can be built again', async () => {
    const { world } = await reread();
    const another = await openCage();
    try {
      await realise(world, another);
      await startListeners(world, another);
      const { mismatches, unknowns } = await prove(world, another, questionsOf(cluster).slice(0, 10));
      expect([...mismatches, ...unknowns]).toEqual([]);
    } finally {
      await another.close();
    }
  });

  it('with rules of somebody else', async () => {
    for (const [node, file, ...args] of BY_HAND) {
      await cage.exec(node).run({ file, args: file === 'nft' ? [args.join(' ')] : args });
    }
    const { world } = await reread();
    const decided = new Set(
      questionsOf(cluster).flatMap((question) =>
        walk(world, question).flatMap(({ deciding }) => {
          const { place, rule = '' } = deciding?.step ?? {};
          return place === undefined || /KUBE-|fairlead/.test(rule) ? [] : [place.replace(/:\d+$/, '')];
        }),
      ),
    );
    expect([...decided].sort()).toEqual([
      'n1/iptables-save.txt',
      'n1/nft.json',
      'n2/iptables-save.txt',
      'n3/nft.json',
    ]);
    expect(await differences(world)).toEqual([]);
  });
});
