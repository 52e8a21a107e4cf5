/** The rules of a configuration: the plan of all its cases, compiled for a mode, and the World that runs it. */
import {
  compileIptables,
  compileIpvs,
  compileNftables,
  type ProxyMode,
  planFor,
} from '../../src/proxy/proxy.ts';
import type { World } from '../../src/world/world.ts';
import { FACTS, worldOf } from './bed.ts';
import { CONFIGURATIONS, type ConfigurationName } from './configurations.ts';
import { healthPortOf, serviceOf, slicesOf } from './objects.ts';
import type { Case, Vector } from './vectors.ts';

export const MODES = ['nftables', 'iptables', 'ipvs'] as const satisfies readonly ProxyMode[];

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

/** The rules and the machines around them. */
export function worldOfGroup({ configuration, cases }: Group, mode: ProxyMode): World {
  const config = CONFIGURATIONS[configuration];
  const plan = planFor(FACTS, cases.map(serviceOf), cases.flatMap(slicesOf), config);
  if (plan.problems.length > 0) throw new Error(plan.problems.map(({ message }) => message).join('; '));
  const healthPorts = cases.map(healthPortOf);
  switch (mode) {
    case 'nftables':
      return worldOf({ packetFilter: { nftables: compileNftables(plan) }, healthPorts });
    case 'iptables': {
      const packetFilter = { iptables: compileIptables(plan) };
      return worldOf({ packetFilter, healthPorts, routeLocalnet: config.localhostNodePorts });
    }
    case 'ipvs': {
      const { bound, iptables, ipsets, ipvs } = compileIpvs(plan);
      return worldOf({ packetFilter: { iptables, ipsets, ipvs }, healthPorts, bound });
    }
  }
}
