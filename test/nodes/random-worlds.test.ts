/** Random clusters with rules of somebody else: what their nodes print is walked as what they were built from. */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { openCage } from '../../src/lab/cage.ts';
import { startListeners } from '../../src/lab/prove/prove.ts';
import { realise } from '../../src/lab/realise.ts';
import { walk } from '../../src/trace/trace.ts';
import { readDump, withNodes } from '../../src/world/from-nodes/from-nodes.ts';
import { scenarios } from '../prove/arbitrary.ts';
import { questionsOf } from '../prove/questions.ts';
import { clusterOf, type Scenario } from '../prove/scenario.ts';
import { collect } from './collecting.ts';
import { inWords } from './example.ts';

/** The same Worlds in every run; others by FAIRLEAD_SEED. */
const SEED = Number(process.env.FAIRLEAD_SEED ?? 20261121);
const WORLDS = Number(process.env.FAIRLEAD_WORLDS ?? 6);

async function differences(scenario: Scenario, pods: boolean): Promise<string[]> {
  const cluster = clusterOf(scenario);
  const cage = await openCage();
  try {
    await realise(cluster.world, cage);
    await startListeners(cluster.world, cage);
    const folders = await collect(cluster.world, cage, { pods });
    const { world } = withNodes(cluster, folders.map(readDump));
    return questionsOf(scenario, cluster).flatMap((question) => {
      const [before, after] = [inWords(walk(cluster.world, question)), inWords(walk(world, question))];
      const { from, to, port, protocol } = question;
      return before === after ? [] : [`${from} -> ${to}:${port} ${protocol}: ${before}, and read: ${after}`];
    });
  } finally {
    await cage.close();
  }
}

const drawn = fc.sample(scenarios(['nftables', 'iptables']), { seed: SEED, numRuns: WORLDS });

it.each(drawn.map((scenario, at) => ({ at, scenario })))('World $at of them', async ({ at, scenario }) => {
  const found = await differences(scenario, at % 2 === 0);
  expect(found.slice(0, 5), JSON.stringify(scenario)).toEqual([]);
});
