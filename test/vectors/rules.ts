/** The rules of a configuration: the plan of all its cases, compiled for a mode, and the World that runs it. */
import {
  compileIptables,
  compileIpvs,
  compileNftables,
  type ForwardingPlan,
  type ProxyMode,
  planFor,
} from '../../src/proxy/proxy.ts';
import type { World } from '../../src/world/world.ts';
import { FACTS, worldOf } from './bed.ts';
import { type ConfigurationName, configurationOf } from './configurations.ts';
import { serviceOf, slicesOf } from './objects.ts';
import type { Case, Vector } from './vectors.ts';

export const MODES = ['nftables', 'iptables', 'ipvs'] as const satisfies readonly ProxyMode[];

/** Vectors that are about the same rules. */
export interface Group {
  /** For a report: the configuration, and SCTP where it is about that. */
  readonly name: string;
  readonly configuration: ConfigurationName;
  readonly vectors: readonly Vector[];
  readonly cases: readonly Case[];
}

/** SCTP is grouped apart, as not every kernel speaks it. To the other modes releases of Kubernetes make no difference. */
export function groupsOf(vectors: readonly Vector[], mode: ProxyMode): Group[] {
  const groups = Map.groupBy(vectors, ({ configuration, protocol }) => {
    const { kubernetesVersion, ...config } = configurationOf(configuration);
    return JSON.stringify([protocol === 'SCTP', config, mode === 'ipvs' && kubernetesVersion]);
  });
  return Array.from(groups.values(), (some) => {
    const [first] = some;
    if (first === undefined) return [];
    const { configuration, protocol } = first;
    const name = protocol === 'SCTP' ? `${configuration}, SCTP` : configuration;
    return [{ name, configuration, vectors: some, cases: casesOf(some) }];
  }).flat();
}

export const casesOf = (vectors: readonly Vector[]): readonly Case[] => [
  ...new Set(vectors.map((vector) => vector.case)),
];

/** What a node that runs under a configuration makes of cases. */
export function planOf(cases: readonly Case[], configuration: ConfigurationName): ForwardingPlan {
  const config = configurationOf(configuration);
  const plan = planFor(FACTS, cases.map(serviceOf), cases.flatMap(slicesOf), config);
  if (plan.problems.length > 0) throw new Error(plan.problems.map(({ message }) => message).join('; '));
  return plan;
}

/** The rules and the machines around them. */
export function worldOfGroup({ configuration, cases }: Group, mode: ProxyMode): World {
  const config = configurationOf(configuration);
  const plan = planOf(cases, configuration);
  const healthPorts = Array.from(plan.services.values(), ({ healthCheck }) => healthCheck?.port ?? []).flat();
  switch (mode) {
    case 'nftables':
      return worldOf({ packetFilter: { nftables: compileNftables(plan) }, healthPorts });
    case 'iptables': {
      const packetFilter = { iptables: compileIptables(plan) };
      return worldOf({ packetFilter, healthPorts, routeLocalnet: config.localhostNodePorts });
    }
    case 'ipvs': {
      const { bound, iptables, ipsets, ipvs } = compileIpvs(plan, config);
      return worldOf({ packetFilter: { iptables, ipsets, ipvs }, healthPorts, bound });
    }
  }
}
