import { type Cage, openCage } from '../../src/lab/cage.ts';
import { prove, startListeners } from '../../src/lab/prove/prove.ts';
import { realise } from '../../src/lab/realise.ts';
import { type Case, clusterOfCase, readCases, requestsOf } from '../oracles/cases.ts';
import { PLAIN } from '../oracles/setting.ts';
import { told } from './try-scenario.ts';

/** What the walk and the kernel make of the cells of all tables that are wanted. Cells of one World are asked together. */
export async function proveDocuments(
  wanted: (one: Case) => boolean,
  open: () => Promise<Cage> = openCage,
): Promise<{ readonly cases: number; readonly worlds: number; readonly differences: readonly string[] }> {
  const cases = [...readCases('cce'), ...readCases('ack')].filter(wanted);
  const byWorld = Map.groupBy(cases, ({ profile, policy, service, target }) =>
    // What follows a plus sign is a fact of the World.
    JSON.stringify([profile, policy, service, target.split('+')[1]]),
  );
  const differences: string[] = [];
  for (const some of byWorld.values()) {
    const [first] = some;
    if (first === undefined) continue;
    const { world } = clusterOfCase(first, PLAIN);
    const cage = await open();
    try {
      await realise(world, cage);
      await startListeners(world, cage);
      const questions = some.flatMap((one) => requestsOf(one, PLAIN).map(({ request }) => request));
      const { mismatches, unknowns } = await prove(world, cage, questions);
      const ids = some.map(({ id }) => id).join(' ');
      differences.push(...mismatches.map((one) => `${ids}: ${told(one)}`));
      differences.push(
        ...unknowns.map(({ question }) => `${ids}: unknown: ${question.from} -> ${question.to}`),
      );
    } finally {
      await cage.close();
    }
  }
  return { cases: cases.length, worlds: byWorld.size, differences };
}
