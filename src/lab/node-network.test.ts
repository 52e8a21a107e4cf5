import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Addr, Endpoint, portOf } from '../ip/ip.ts';
import { buildCluster } from '../world/build.ts';
import { defaultNodes, type NodeFacts } from '../world/facts.ts';
import { NETWORKS, profileOf } from '../world/profile.ts';
import { type Cage, openCage } from './cage.ts';
import { CAGES } from './cages-contract.ts';
import { NodeNetwork, nodeNetworkConfig } from './node-network.ts';
import { probe, startResponder } from './probe.ts';
import { realise } from './realise.ts';

describe.each(CAGES)('in a cage of $name', ({ options }) => {
  describe.each(NETWORKS)('the pods of a node with the network %s', (network) => {
    const profile = profileOf({ network });
    const [n1, n2] = defaultNodes(profile, 2) as [NodeFacts, NodeFacts];
    let cage: Cage;

    beforeAll(async () => {
      cage = await openCage(options);
      await realise(buildCluster({ profile, nodes: [n1, n2] }), cage);
    });
    afterAll(async () => await cage.close());

    /** The config goes through JSON, as it does to a node agent. */
    const networkOf = (node: NodeFacts) => {
      const config = JSON.parse(JSON.stringify(nodeNetworkConfig(profile, node)));
      return new NodeNetwork(config, cage.exec(node.name), cage.root);
    };
    const request = (uid: string, node: NodeFacts, at: number) => ({
      uid,
      namespace: 'default',
      name: uid,
      ip: node.podCIDR?.at(at) ?? Addr.parse('203.0.113.1'),
    });
    const ask = async (from: string, to: Addr) => {
      const target = new Endpoint(to, portOf(80));
      const answer = await probe(cage.exec(from), { protocol: 'TCP', target, timeoutMs: 400 });
      return answer.answeredBy === undefined
        ? answer.verdict
        : `${answer.answeredBy} sees ${answer.sourceSeen}`;
    };
    const serve = (netns: string, name: string) =>
      startResponder(cage.exec(netns), name, [{ protocol: 'TCP', port: portOf(80) }]);
    /** All the node knows that may belong to a pod. */
    const nodeState = async (node: NodeFacts) => {
      const { stdout } = await cage.exec(node.name).run({
        file: 'sh',
        args: [
          '-c',
          'ip -o link | cut -d" " -f2; ip route show table all | grep -v broadcast; ip rule; ls /run/netns',
        ],
      });
      // A bridge without a port has no carrier, and the kernel takes up to a second to say so.
      return stdout.replaceAll('linkdown ', '').split('\n').sort();
    };

    it('come and go, and leave nothing', async () => {
      const before = await nodeState(n1);
      const web = request('web', n1, 20);
      const near = request('near', n1, 21);
      const far = request('far', n2, 20);
      const [at, by, off] = await Promise.all([
        networkOf(n1).add(web),
        networkOf(n1).add(near),
        networkOf(n2).add(far),
      ]);
      await serve(at.netns, 'web');
      expect(await ask(by.netns, web.ip)).toBe(`web sees ${near.ip}`);
      expect(await ask(off.netns, web.ip)).toBe(`web sees ${far.ip}`);
      expect(await ask('n1', web.ip)).toMatch(/^web sees /);
      for (const uid of ['web', 'near']) await networkOf(n1).remove(uid);
      await networkOf(n2).remove('far');
      expect(await nodeState(n1)).toEqual(before);
    });

    it('are adopted by a restarted agent, with their connections', async () => {
      const pod = request('kept', n1, 30);
      const { netns } = await networkOf(n1).add(pod);
      await serve(netns, 'kept');
      const before = await nodeState(n1);
      expect(await networkOf(n1).add(pod)).toEqual({ netns });
      expect(await nodeState(n1)).toEqual(before);
      expect(await ask('n1', pod.ip)).toMatch(/^kept sees /);
      await networkOf(n1).remove('kept');
    });

    it('are made anew where an agent was killed half way', async () => {
      const pod = request('half', n1, 40);
      const { netns } = await networkOf(n1).add(pod);
      await cage.exec(netns).run({ file: 'ip', args: ['route', 'del', 'default'] });
      expect(await networkOf(n1).add(pod)).toEqual({ netns });
      await serve(netns, 'half');
      expect(await ask('n2', pod.ip)).toMatch(/^half sees /);
      await networkOf(n1).remove('half');
    });

    it('give an address on at once, though a process still holds the old namespace', async () => {
      const old = request('old', n1, 50);
      const { netns } = await networkOf(n1).add(old);
      await serve(netns, 'old');
      await networkOf(n1).remove('old');
      const young = await networkOf(n1).add({ ...old, uid: 'young' });
      await serve(young.netns, 'young');
      expect(await ask('n2', old.ip)).toMatch(/^young sees /);
      await networkOf(n1).remove('young');
    });

    it('may be removed twice, or without having been', async () => {
      await networkOf(n1).remove('never');
      await networkOf(n1).add(request('once', n1, 60));
      await networkOf(n1).remove('once');
      await networkOf(n1).remove('once');
    });

    it('have an address of their node', async () => {
      await expect(networkOf(n1).add(request('astray', n2, 70))).rejects.toMatchObject({ code: 'FE011' });
    });
  });
});
