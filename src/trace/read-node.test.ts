/** Packets through a node that was read, of which nothing was compiled. */
import { expect, it } from 'vitest';
import { Addr, portOf } from '../ip/ip.ts';
import { readDump, withNodes } from '../world/from-nodes/from-nodes.ts';
import { folder, OBJECTS, WORKER } from '../world/from-nodes/worker-fixture.ts';
import {
  chooseProfile,
  clusterFrom,
  inventoryOf,
  parseManifests,
} from '../world/from-objects/from-objects.ts';
import { walk } from './trace.ts';

const inventory = inventoryOf(parseManifests('cluster.yaml', OBJECTS), 'default');
const cluster = clusterFrom(inventory, chooseProfile(inventory, { set: { network: 'tunnel' } }));

const ask = (from: string, to: string, port: number, files: Readonly<Record<string, string>> = WORKER) => {
  const { world } = withNodes(cluster, [readDump(folder(files))]);
  const request = { from, to: Addr.parse(to), port: portOf(port), protocol: 'TCP' } as const;
  const [outcome] = walk(world, request);
  const { rule, place, detail } = outcome?.deciding?.step ?? {};
  return { verdict: outcome?.verdict, reason: outcome?.reason, rule, place, detail };
};

const open = { ...WORKER, 'iptables-save.txt': '' };

it('the policy of a chain drops, and has a place', () => {
  expect(ask('default/web', '192.168.0.12', 10250)).toMatchObject({
    verdict: 'timeout',
    reason: 'droppedByRule',
    rule: 'iptables -t filter -P FORWARD DROP',
    place: 'nodes/worker-1/iptables-save.txt:2',
  });
});

it('the node reaches the network by the router, whoever has the next hop', () => {
  // Nobody at the other end listens: the refusal has come all the way.
  expect(ask('worker-1', '192.168.0.12', 80, open)).toMatchObject({
    verdict: 'refused',
    reason: 'noListener',
  });
  expect(ask('worker-2', '192.168.0.11', 10250, open)).toMatchObject({ verdict: 'reached' });
  expect(ask('worker-2', '192.168.0.11', 10248, open)).toMatchObject({
    verdict: 'refused',
    reason: 'noListener',
  });
});

it('pods talk to their node and to whoever is behind the tunnel', () => {
  expect(ask('worker-1', '10.244.1.7', 80, open)).toMatchObject({ verdict: 'reached' });
  expect(ask('worker-2', '10.244.1.7', 80, open)).toMatchObject({ verdict: 'reached' });
  expect(ask('default/web', '10.244.2.1', 80, open)).toMatchObject({
    verdict: 'refused',
    reason: 'noListener',
  });
});

it('what nobody models stops the packets that come to it', () => {
  expect(ask('worker-1', '203.0.113.99', 80, open)).toMatchObject({
    verdict: 'unknown',
    place: 'nodes/worker-1/route.json:5',
  });
});
