import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Addr, Endpoint, portOf } from '../ip/ip.ts';
import { type NftTable, parseNftRuleset, printNftTable } from '../netfilter/netfilter.ts';
import { buildCluster } from '../world/build.ts';
import { compilePolicy } from '../world/compile-policy.ts';
import { defaultNodes, type NodeFacts, type PodFacts } from '../world/facts.ts';
import { NETWORKS, type Network, profileOf } from '../world/profile.ts';
import { addressOf, hostOf, type Listener } from '../world/world.ts';
import { type Cage, openCage } from './cage.ts';
import { CAGES } from './cages-contract.ts';
import { type ProbeProtocol, probe } from './probe.ts';
import { startListeners } from './prove/prove.ts';
import { realise } from './realise.ts';

const EIGHTY = portOf(80);
const listeners: readonly Listener[] = [
  { protocol: 'TCP', port: EIGHTY },
  { protocol: 'UDP', port: EIGHTY },
];
const EXTERNAL = Addr.parse('203.0.113.10');

/** As whom node n1 is seen by a pod of its own and by one of another node, and a pod of n1 outside. */
const models: Record<Network, { ownPod: string; remotePod: string; outside: string }> = {
  tunnel: { ownPod: '192.168.0.11', remotePod: '172.16.1.1', outside: 'external sees 100.64.1.1' },
  vpc: { ownPod: '172.16.1.1', remotePod: '192.168.0.11', outside: 'external sees 100.64.1.1' },
  // A pod leaves by the second interface, which has no elastic address.
  eni: { ownPod: '192.168.0.11', remotePod: '192.168.0.11', outside: 'timeout' },
};

describe.each(CAGES)('a World in a cage of $name', ({ options }) => {
  describe.each(NETWORKS)('with the network %s', (network) => {
    const profile = profileOf({ network });
    const nodes = defaultNodes(profile, 3).map((node) => ({ ...node, listeners }));
    const [n1, n2] = nodes as [NodeFacts, NodeFacts];
    const pod = (name: string, node: NodeFacts, at: number): PodFacts => ({
      namespace: 'default',
      name,
      node: node.name,
      address: node.podCIDR?.at(at) ?? EXTERNAL,
      listeners,
    });
    const web = pod('web', n1, 10);
    const near = pod('near', n1, 11);
    const far = pod('far', n2, 10);
    const vpcHost = { name: 'ecs', address: Addr.parse('192.168.3.100'), listeners };
    const outside = [
      { name: 'external', address: EXTERNAL, listeners },
      { name: 'second', address: Addr.parse('198.51.100.10') },
    ];
    const world = buildCluster({ profile, nodes, pods: [web, near, far], vpcHosts: [vpcHost], outside });
    let cage: Cage;

    beforeAll(async () => {
      cage = await openCage(options);
      await realise(world, cage);
      await startListeners(world, cage);
    });
    afterAll(async () => await cage.close());

    const at = (name: string) => cage.exec(hostOf(world, name).netns);
    const ask = async (from: string, to: Addr, protocol: ProbeProtocol = 'TCP', port = EIGHTY) => {
      const target = new Endpoint(to, port);
      const { verdict, sourceSeen, answeredBy } = await probe(at(from), { protocol, target, timeoutMs: 400 });
      return verdict === 'reached' ? `${answeredBy} sees ${sourceSeen}` : verdict;
    };
    const elastic = (node: NodeFacts) => node.elastic ?? EXTERNAL;

    it('holds in the kernel the rule trees of the World', async () => {
      for (const name of ['router', 'n1']) {
        const { stdout } = await at(name).run({ file: 'nft', args: ['-j', 'list', 'ruleset'] });
        const lines = (tables: readonly NftTable[]) => tables.flatMap(printNftTable).sort();
        expect(lines(parseNftRuleset(stdout).tables)).toEqual(
          lines(hostOf(world, name).policies.map(compilePolicy)),
        );
      }
    });

    it.each<ProbeProtocol>(['TCP', 'UDP'])('carries %s between pods as they are', async (protocol) => {
      expect(await ask('default/near', web.address, protocol)).toBe(`default/web sees ${near.address}`);
      expect(await ask('default/far', web.address, protocol)).toBe(`default/web sees ${far.address}`);
      expect(await ask('default/web', far.address, protocol)).toBe(`default/far sees ${web.address}`);
    });

    it('lets a node reach its pods and those of others', async () => {
      expect(await ask('n1', web.address)).toBe(`default/web sees ${models[network].ownPod}`);
      expect(await ask('n1', far.address)).toBe(`default/far sees ${models[network].remotePod}`);
    });

    it('lets pods reach nodes', async () => {
      const seen = network === 'tunnel' ? n1.address : near.address;
      expect(await ask('default/near', n1.address)).toBe(`n1 sees ${near.address}`);
      expect(await ask('default/near', n2.address)).toBe(`n2 sees ${seen}`);
      expect(await ask('default/near', vpcHost.address)).toBe(`ecs sees ${seen}`);
    });

    it('shows pods outside by the elastic address of their node', async () => {
      expect(await ask('default/near', EXTERNAL)).toBe(models[network].outside);
    });

    it('turns elastic addresses both ways', async () => {
      expect(await ask('n1', EXTERNAL)).toBe(`external sees ${elastic(n1)}`);
      expect(await ask('external', elastic(n1))).toBe(`n1 sees ${EXTERNAL}`);
      expect(await ask('external', elastic(n1), 'UDP')).toBe(`n1 sees ${EXTERNAL}`);
      expect(await ask('second', elastic(n1))).toBe('n1 sees 198.51.100.10');
      expect(await ask('n2', elastic(n1))).toBe(`n1 sees ${elastic(n2)}`);
    });

    it('brings a node that dials its own elastic address back with that as source', async () => {
      expect(await ask('n1', elastic(n1))).toBe(`n1 sees ${elastic(n1)}`);
    });

    it('keeps the inside from outside, and who has no elastic address from leaving', async () => {
      const answers = await Promise.all([
        ask('external', n1.address),
        ask('external', web.address),
        ask('ecs', EXTERNAL),
        ask('ecs', elastic(n1)),
      ]);
      expect(answers).toEqual(['timeout', 'timeout', 'timeout', 'timeout']);
    });

    it('delivers pod addresses in the VPC only where the VPC knows them', async () => {
      expect(await ask('ecs', web.address)).toBe(
        network === 'tunnel' ? 'timeout' : `default/web sees ${vpcHost.address}`,
      );
    });

    /** A node port and a Service address, translated on both nodes to the pod on n1; the source is kept. */
    it('answers what entered by a node for a pod of that node, and by no other', async () => {
      const rules = `table ip test {
        chain prerouting { type nat hook prerouting priority dstnat;
          fib daddr type local tcp dport 30080 dnat to ${web.address}:80
          ip daddr 10.247.0.10 tcp dport 80 dnat to ${web.address}
        }
      }`;
      for (const node of [n1, n2]) {
        await at(node.name).run({ file: 'nft', args: ['-f', '-'], stdin: rules });
      }
      const nodePort = portOf(30080);
      const service = Addr.parse('10.247.0.10');
      expect(await ask('external', elastic(n1), 'TCP', nodePort)).toBe(`default/web sees ${EXTERNAL}`);
      expect(await ask('n2', n1.address, 'TCP', nodePort)).toBe(`default/web sees ${n2.address}`);
      expect(await ask('ecs', n1.address, 'TCP', nodePort)).toBe(`default/web sees ${vpcHost.address}`);
      const elsewhere = [
        ask('external', elastic(n2), 'TCP', nodePort),
        ask('ecs', n2.address, 'TCP', nodePort),
      ];
      expect(await Promise.all(elsewhere)).toEqual(['timeout', 'timeout']);
      expect(await ask('default/far', service)).toBe(`default/web sees ${far.address}`);
      // On one bridge the answer is switched past the node, which alone could translate it back.
      const near1 = await ask('default/near', service);
      if (network === 'vpc') expect(near1).not.toMatch(/sees/);
      else expect(near1).toBe(`default/web sees ${near.address}`);
    });

    it('drops at the router what a node sends from a source it does not own', async () => {
      // The node's masquerading is taken away, so that a pod's own address leaves the node.
      await at('n2').run({ file: 'nft', args: ['delete', 'table', 'ip', 'fairlead-masquerade'] });
      const before = await dropped();
      const answer = await ask('default/far', vpcHost.address);
      const drops = (await dropped()) - before;
      if (network === 'tunnel') {
        expect(answer).toBe('timeout');
        expect(drops).toBeGreaterThan(0);
      } else {
        expect(answer).toBe(`ecs sees ${far.address}`);
        expect(drops).toBe(0);
      }
    });

    it('drops at the router what bears an address that nobody gave the node', async () => {
      const batch =
        'addr add 192.168.7.7/32 dev lo\nroute add 192.168.3.100 via 192.168.0.1 dev eth0 onlink src 192.168.7.7\n';
      await at('n2').run({ file: 'ip', args: ['-batch', '-'], stdin: batch });
      const before = await dropped();
      expect(await ask('n2', vpcHost.address)).toBe('timeout');
      expect((await dropped()) - before).toBeGreaterThan(0);
    });

    const dropped = async () => {
      const args = ['list', 'table', 'ip', 'fairlead-source-check'];
      const { stdout } = await at('router').run({ file: 'nft', args });
      return [...stdout.matchAll(/packets (\d+)/g)].reduce((sum, [, packets]) => sum + Number(packets), 0);
    };
  });

  it.each<Network>(['tunnel', 'vpc'])(
    'has 10 nodes with 100 pods in under 20 s, network %s',
    async (network) => {
      const profile = profileOf({ network });
      const nodes = defaultNodes(profile, 10);
      const pods = nodes.flatMap((node) =>
        Array.from(
          { length: 10 },
          (_, at): PodFacts => ({
            namespace: 'default',
            name: `${node.name}-${at}`,
            node: node.name,
            address: node.podCIDR?.at(10 + at) ?? EXTERNAL,
            ...(at === 9 ? { listeners } : {}),
          }),
        ),
      );
      const world = buildCluster({ profile, nodes, pods });
      const cage = await openCage(options);
      try {
        await realise(world, cage);
        await startListeners(world, cage);
        const [first, last] = [hostOf(world, 'default/n1-0'), hostOf(world, 'default/n10-9')];
        const target = new Endpoint(addressOf(last), EIGHTY);
        expect(await probe(cage.exec(first.netns), { protocol: 'TCP', target })).toEqual({
          verdict: 'reached',
          sourceSeen: addressOf(first),
          answeredBy: 'default/n10-9',
        });
      } finally {
        await cage.close();
      }
    },
  );
});
