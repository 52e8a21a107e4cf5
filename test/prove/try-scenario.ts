import { type Cage, openCage } from '../../src/lab/cage.ts';
import { type Comparison, type Mismatch, prove, startListeners, textOf } from '../../src/lab/prove/prove.ts';
import { realise } from '../../src/lab/realise.ts';
import type { Cluster } from '../../src/world/from-objects/from-objects.ts';
import { questionsOf } from './questions.ts';
import { clusterOf, type Scenario } from './scenario.ts';

export interface TrialOptions {
  /** Where it is built; on the running kernel unless said. */
  readonly open?: () => Promise<Cage>;
  /** The most questions to ask. */
  readonly questions?: number;
}

export interface Trial extends Comparison {
  readonly cluster: Cluster;
}

/** Builds the scenario and asks it everything. */
export async function tryScenario(
  scenario: Scenario,
  { open = openCage, questions }: TrialOptions = {},
): Promise<Trial> {
  const cluster = clusterOf(scenario);
  const cage = await open();
  try {
    await realise(cluster.world, cage);
    await startListeners(cluster.world, cage);
    return { cluster, ...(await prove(cluster.world, cage, questionsOf(scenario, cluster, questions))) };
  } finally {
    await cage.close();
  }
}

/** One line a mismatch. */
export function told({ question, outcomes, answers, unexpected, missing }: Mismatch): string {
  const { from, to, port, protocol } = question;
  const foretold = outcomes.map((outcome) => `${textOf(outcome)} (${outcome.reason})`);
  const got = new Set(unexpected.map(textOf));
  const never = missing.length === 0 ? '' : `; never ${missing.join(' nor ')} in ${answers.length}`;
  return `${from} -> ${to}:${port} ${protocol}: foretold ${[...new Set(foretold)].join(' or ')}; got ${[...got].join(', ') || 'no other'}${never}`;
}
