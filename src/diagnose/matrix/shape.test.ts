/** Reading cells off those of Services alike comes to what walking each of them does: in random Worlds, in every cell. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Mode, scenarios } from '../../../test/prove/arbitrary.ts';
import {
  clusterOf,
  type Scenario,
  type ScenarioPod,
  type ScenarioService,
} from '../../../test/prove/scenario.ts';
import { causeOf } from '../cause-of.ts';
import { matrices } from './matrix.ts';

const rarely = fc.integer({ min: 0, max: 3 }).map((one) => one === 0);

const ALTERATIONS = ['none', 'external', 'internal', 'affinity', 'target', 'type', 'annotations'] as const;

/** Nearly the same Service: what tells it apart has to be in the key. */
function altered(service: ScenarioService, how: (typeof ALTERATIONS)[number]): ScenarioService {
  const { external, internal, affinity = false, ports, type, ...rest } = service;
  const same = {
    ...rest,
    type,
    ports,
    ...(external === undefined ? {} : { external }),
    ...(internal === undefined ? {} : { internal }),
    affinity,
  };
  const without = ({ [how as 'external']: _, ...others }: ScenarioService): ScenarioService => others;
  switch (how) {
    case 'none':
      return service;
    case 'external':
    case 'internal':
      return service[how] === undefined ? { ...same, [how]: 'Local' } : without(same);
    case 'affinity':
      return { ...same, affinity: !affinity };
    case 'target':
      return {
        ...same,
        ports: ports.map((port) => ({ ...port, target: port.target === 'closed' ? 'open' : 'closed' })),
      };
    case 'type':
      return { ...same, type: type === 'NodePort' ? 'LoadBalancer' : 'NodePort' };
    case 'annotations':
      return { ...same, annotations: { 'kubernetes.io/elb.pass-through': 'true' } };
  }
}

/** Every Service three times: as it is, of other pods, and altered in one way; what makes them singular is rare. */
const crowded = (mode: Mode): fc.Arbitrary<Scenario> =>
  fc
    .record({
      scenario: scenarios([mode]),
      foreign: rarely,
      sourceRanges: rarely,
      externalIPs: rarely,
      nat: rarely,
      settings: rarely,
      hints: rarely,
      hostNetwork: rarely,
      alteration: fc.constantFrom(...ALTERATIONS),
    })
    .map(({ scenario, ...keeps }) => {
      const { foreign, natTo, settings, ...rest } = scenario;
      const services = scenario.services.map(({ sourceRanges, externalIPs, hints, ...service }) => ({
        ...service,
        ...(keeps.sourceRanges && sourceRanges !== undefined ? { sourceRanges } : {}),
        ...(keeps.hints && hints !== undefined ? { hints } : {}),
        ...(keeps.externalIPs && externalIPs !== undefined ? { externalIPs } : {}),
      }));
      return {
        ...rest,
        pods: mirrored(scenario, keeps.hostNetwork),
        services: [
          ...services,
          ...services.map(swapped),
          ...services.map((one) => altered(one, keeps.alteration)),
        ],
        ...(keeps.foreign && foreign !== undefined ? { foreign } : {}),
        ...(keeps.settings && settings !== undefined ? { settings } : {}),
        ...(keeps.nat && natTo !== undefined ? { natTo } : {}),
      };
    });

/** The pods of `b` are those of `a`, each on the node after; so their Services are alike and run elsewhere. */
function mirrored({ pods, nodes }: Scenario, keepsHostNetwork: boolean): ScenarioPod[] {
  const kept = pods
    .filter(({ app }) => app !== 'b')
    .map(({ hostNetwork = false, ...pod }) =>
      keepsHostNetwork && hostNetwork ? { ...pod, hostNetwork } : pod,
    );
  const others = kept
    .filter(({ app }) => app === 'a')
    .map((pod) => ({ ...pod, node: (pod.node + 1) % nodes }));
  return [...kept, ...others.map((pod) => ({ ...pod, app: 'b' as const }))];
}

const swapped = (service: ScenarioService): ScenarioService =>
  service.app === 'nobody' ? service : { ...service, app: service.app === 'a' ? 'b' : 'a' };

describe.each(['nftables', 'iptables', 'ipvs'] as const)('Services alike, by %s', (mode) => {
  it('answer alike', () => {
    const total = { walked: 0, readOff: 0 };
    fc.assert(
      fc.property(crowded(mode), (scenario) => {
        const cluster = clusterOf(scenario);
        const found = matrices(cluster, undefined, causeOf, {
          onDone: ({ walked, readOff }) => {
            total.walked += walked;
            total.readOff += readOff;
          },
        });
        expect(found).toEqual(matrices(cluster, undefined, causeOf, { cellByCell: true }));
      }),
      {
        numRuns: Number(process.env.FAIRLEAD_RUNS ?? 12),
        seed: Number(process.env.FAIRLEAD_SEED ?? 20260102),
      },
    );
    // Or nothing was proven.
    expect(total.readOff).toBeGreaterThan(total.walked / 20);
  });
});
