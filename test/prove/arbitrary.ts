import fc from 'fast-check';
import { LOCAL_DETECTORS, type ProfileSpec } from '../../src/world/profile.ts';
import { foreignRules } from './arbitrary-foreign.ts';
import type { NodeSettings } from './foreign-rules.ts';
import { nodeAddress, type Scenario, type ScenarioPod, type ScenarioService } from './scenario.ts';

export type Mode = 'nftables' | 'iptables' | 'ipvs';

/** A value once in so many times; what shrinks leaves it out. */
const maybe = <T>(arbitrary: fc.Arbitrary<T>, oneIn = 3): fc.Arbitrary<T | undefined> =>
  fc.oneof(
    { withCrossShrink: true },
    { arbitrary: fc.constant(undefined), weight: oneIn - 1 },
    { arbitrary, weight: 1 },
  );

/** Without the keys whose value is undefined, so that what is stored holds only what counts. */
const compact = <T extends object>(value: T): T =>
  Object.fromEntries(Object.entries(value).filter(([, one]) => one !== undefined)) as T;

/** The nodes' first interfaces, some of them, one, loopback alone, and the pods' side. */
const NODE_PORT_ADDRESSES = [
  'primary',
  '192.168.0.0/24',
  `${nodeAddress(0)}/32`,
  '127.0.0.0/8',
  '172.16.0.0/16,127.0.0.0/8',
];

const nodeSettings: fc.Arbitrary<NodeSettings> = fc
  .record({
    rpFilter: maybe(fc.constantFrom(0 as const, 2 as const), 2),
    bridgeNfCallIptables: maybe(fc.constant(true), 2),
  })
  .map(compact) as fc.Arbitrary<NodeSettings>;

const profiles = (modes: readonly Mode[]): fc.Arbitrary<ProfileSpec> =>
  fc
    .record({
      cloud: fc.constantFrom('generic', 'cce', 'ack', 'tke'),
      network: fc.constantFrom('tunnel', 'vpc', 'eni'),
      ipFamilies: fc.constantFrom(undefined, undefined, 'IPv6', 'IPv4,IPv6', 'IPv6,IPv4'),
      proxyMode: fc.constantFrom(...modes),
      kubernetesVersion: fc.constantFrom('1.33', '1.28', '1.24', '1.22'),
      masqueradeAll: maybe(fc.boolean()),
      detectLocal: maybe(fc.constantFrom(...LOCAL_DETECTORS), 2),
      nodePortAddresses: maybe(fc.constantFrom(...NODE_PORT_ADDRESSES)),
      localhostNodePorts: maybe(fc.constant(true), 2),
    })
    .map((spec) => compact(spec) as ProfileSpec);

const MOST_NODES = 5;
const node = fc.nat(MOST_NODES - 1);

const pods: fc.Arbitrary<ScenarioPod[]> = fc.array(
  fc
    .record({
      node,
      app: fc.constantFrom('a' as const, 'a' as const, 'a' as const, 'b' as const, 'client' as const),
      hostNetwork: maybe(fc.constant(true), 5),
      state: maybe(fc.constantFrom('notReady' as const, 'terminating' as const, 'drained' as const), 4),
    })
    .map(compact) as fc.Arbitrary<ScenarioPod>,
  { minLength: 1, maxLength: 8 },
);

const CCE = 'kubernetes.io/elb';
/** What the controllers of clouds heed; to the others it means nothing. */
const annotations: fc.Arbitrary<Readonly<Record<string, string>>> = fc.constantFrom(
  { [`${CCE}.class`]: 'performance' },
  { [`${CCE}.class`]: 'performance', [`${CCE}.pass-through`]: 'false' },
  { [`${CCE}.pass-through`]: 'true' },
  { [`${CCE}.class`]: 'dnat' },
  { 'service.beta.kubernetes.io/backend-type': 'ecs' },
  { 'service.cloud.tencent.com/direct-access': 'true' },
);

const sourceRanges = fc.subarray(
  ['192.168.0.11/32', '192.168.0.0/24', '172.16.1.0/24', '203.0.113.0/24', '192.168.3.100/32'],
  { minLength: 1, maxLength: 2 },
);

const service: fc.Arbitrary<ScenarioService> = fc
  .record({
    type: fc.constantFrom('NodePort' as const, 'LoadBalancer' as const, 'ClusterIP' as const),
    stack: maybe(fc.constantFrom('single' as const, 'other' as const), 4),
    app: fc.constantFrom(
      'a' as const,
      'a' as const,
      'a' as const,
      'a' as const,
      'b' as const,
      'nobody' as const,
    ),
    ports: fc.array(
      fc.record({
        protocol: fc.constantFrom('TCP' as const, 'UDP' as const),
        target: fc.constantFrom('open' as const, 'named' as const, 'open' as const, 'closed' as const),
      }),
      { minLength: 1, maxLength: 2 },
    ),
    external: maybe(fc.constant('Local' as const), 2),
    internal: maybe(fc.constant('Local' as const), 4),
    affinity: maybe(fc.constant(true), 4),
    hints: maybe(fc.constantFrom('zones' as const, 'nodes' as const, 'some' as const), 4),
    sourceRanges: maybe(sourceRanges),
    externalIPs: maybe(
      fc.subarray(['100.64.9.9', '192.168.9.9', nodeAddress(0)], { minLength: 1, maxLength: 1 }),
      4,
    ),
    ingress: fc.subarray(['private' as const, 'public' as const]),
    ipMode: maybe(fc.constant('Proxy' as const), 6),
    annotations: maybe(annotations),
  })
  .map(compact) as fc.Arbitrary<ScenarioService>;

/** Clusters of one to five nodes whose proxies run in one of the modes. */
export const scenarios = (modes: readonly Mode[]): fc.Arbitrary<Scenario> =>
  fc
    .record({
      profile: profiles(modes),
      nodes: fc.integer({ min: 1, max: MOST_NODES }),
      pods,
      services: fc.array(service, { minLength: 1, maxLength: 3 }),
      hasVpcServer: maybe(fc.constant(true), 2),
      natTo: maybe(node, 4),
      settings: maybe(nodeSettings, 3),
      foreign: maybe(foreignRules, 2),
    })
    .map((scenario) => compact(onItsNodes(scenario as Scenario)));

/** Whatever names a node that is not there names another; so the number of nodes can shrink by itself. */
function onItsNodes(scenario: Scenario): Scenario {
  const { nodes, pods: some, natTo } = scenario;
  return {
    ...scenario,
    pods: some.map((pod) => ({ ...pod, node: pod.node % nodes })),
    ...(natTo === undefined ? {} : { natTo: natTo % nodes }),
  };
}
