import type { Scenario } from './scenario.ts';

/** What a scenario is of, as `dimension=value`: what random Worlds have to vary. */
export function traitsOf(scenario: Scenario): Set<string> {
  const { profile, nodes, pods, services, settings = {}, foreign = [] } = scenario;
  const of = (name: string, ...values: readonly unknown[]) => values.map((value) => `${name}=${value}`);
  const each = <T extends object>(name: string, some: readonly T[], fields: readonly (keyof T & string)[]) =>
    some.flatMap((one) =>
      fields.flatMap((field) => {
        const value = one[field];
        return of(`${name}.${field}`, ...(Array.isArray(value) ? value : [value]));
      }),
    );
  return new Set([
    ...Object.entries(profile).flatMap(([field, value]) => of(field, value)),
    ...of('nodes', nodes),
    ...each('pod', pods, ['app', 'hostNetwork', 'state']),
    ...each('service', services, ['type', 'stack', 'app', 'external', 'internal', 'affinity', 'hints']),
    ...each('service', services, ['ingress', 'ipMode', 'sourceRanges', 'externalIPs']),
    ...services.flatMap(({ annotations = {} }) => of('annotations', JSON.stringify(annotations))),
    ...each(
      'port',
      services.flatMap(({ ports }) => ports),
      ['protocol', 'target'],
    ),
    ...Object.entries(settings).flatMap(([field, value]) => of(field, value)),
    ...of('vpcServer', scenario.hasVpcServer ?? false),
    ...of('gateway', scenario.natTo !== undefined),
    ...foreign.flatMap(({ on = 'node' }) => of('foreign on', on)),
    ...foreign.flatMap((one) => of('foreign', one.tool === 'nft' ? one.what : wordsOf(one))),
  ]);
}

/** `nat OUTPUT DNAT`: where a rule of iptables is and what it does. */
const wordsOf = ({ table, chain, rule }: { table: string; chain: string; rule?: string }): string =>
  `${table} ${chain} ${rule === undefined ? 'policy' : /-j (\S+)/.exec(rule)?.[1]}`;
