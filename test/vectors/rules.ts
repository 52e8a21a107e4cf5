/** The rules of a configuration: the plan of all its cases, compiled for a mode, and the World that runs it. */
import { compileIptables, compileNftables, planFor } from '../../src/proxy/proxy.ts';
import type { PacketFilter, World } from '../../src/world/world.ts';
import { FACTS, worldOf } from './bed.ts';
import { CONFIGURATIONS, type ConfigurationName } from './configurations.ts';
import { healthPortOf, serviceOf, slicesOf } from './objects.ts';
import type { Case, Vector } from './vectors.ts';

/** The modes whose rules the compilers write and the executor runs. */
export const MODES = ['nftables', 'iptables'] as const;
export type Mode = (typeof MODES)[number];

/** Vectors that are about the same rules. */
export interface Group {
  readonly configuration: ConfigurationName;
  readonly vectors: readonly Vector[];
  readonly cases: readonly Case[];
}

export function groupsOf(vectors: readonly Vector[]): Group[] {
  const groups = Map.groupBy(vectors, ({ configuration }) => configuration);
  return Array.from(groups, ([configuration, some]) => ({
    configuration,
    vectors: some,
    cases: [...new Set(some.map((vector) => vector.case))],
  }));
}

export function rulesOf({ configuration, cases }: Group, mode: Mode): PacketFilter {
  const config = CONFIGURATIONS[configuration];
  const plan = planFor(FACTS, cases.map(serviceOf), cases.flatMap(slicesOf), config);
  if (plan.problems.length > 0) throw new Error(plan.problems.map(({ message }) => message).join('; '));
  return mode === 'nftables' ? { nftables: compileNftables(plan) } : { iptables: compileIptables(plan) };
}

/** The rules and the machines around them. */
export function worldOfGroup(group: Group, mode: Mode): World {
  return worldOf({
    packetFilter: rulesOf(group, mode),
    healthPorts: group.cases.map(healthPortOf),
    routeLocalnet: CONFIGURATIONS[group.configuration].localhostNodePorts,
  });
}
