import fc from 'fast-check';
import type { ProfileSpec } from '../../src/world/profile.ts';
import type { ForeignRule } from './foreign-rules.ts';
import {
  nodeAddress,
  nodePort,
  OPEN,
  type Scenario,
  type ScenarioPod,
  type ScenarioService,
} from './scenario.ts';

export type Mode = 'nftables' | 'iptables' | 'ipvs';

/** A value now and then; small cases leave it out. */
const maybe = <T>(arbitrary: fc.Arbitrary<T>, freq = 3): fc.Arbitrary<T | undefined> =>
  fc.option(arbitrary, { nil: undefined, freq });

/** Without the keys whose value is undefined, so that what is stored holds only what counts. */
const compact = <T extends object>(value: T): T =>
  Object.fromEntries(Object.entries(value).filter(([, one]) => one !== undefined)) as T;

const profiles = (modes: readonly Mode[]): fc.Arbitrary<ProfileSpec> =>
  fc
    .record({
      cloud: fc.constantFrom('generic', 'cce', 'ack', 'tke'),
      network: fc.constantFrom('tunnel', 'vpc', 'eni'),
      proxyMode: fc.constantFrom(...modes),
      kubernetesVersion: fc.constantFrom('1.33', '1.28', '1.22'),
      masqueradeAll: maybe(fc.boolean()),
      detectLocal: maybe(fc.constantFrom('ClusterCIDR', 'NodeCIDR', 'None')),
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
    sourceRanges: maybe(sourceRanges),
    externalIPs: maybe(
      fc.subarray(['100.64.9.9', '192.168.9.9', nodeAddress(0)], { minLength: 1, maxLength: 1 }),
      4,
    ),
    ingress: maybe(fc.subarray(['private' as const, 'public' as const]), 5),
    ipMode: maybe(fc.constant('Proxy' as const), 6),
    annotations: maybe(annotations),
  })
  .map(compact) as fc.Arbitrary<ScenarioService>;

const PORTS = [OPEN, nodePort(0, 0), 80];

const iptablesRules: readonly Omit<Extract<ForeignRule, { tool: 'iptables' }>, 'node'>[] = PORTS.flatMap(
  (port) => [
    { tool: 'iptables', table: 'filter', chain: 'INPUT', rule: `-p tcp -m tcp --dport ${port} -j DROP` },
    {
      tool: 'iptables',
      table: 'filter',
      chain: 'INPUT',
      rule: `-s 172.16.0.0/16 -p tcp -m tcp --dport ${port} -j REJECT --reject-with icmp-port-unreachable`,
      first: true,
    },
    {
      tool: 'iptables',
      table: 'filter',
      chain: 'FORWARD',
      rule: `-p tcp -m tcp --dport ${port} -j REJECT --reject-with tcp-reset`,
      first: true,
    },
    {
      tool: 'iptables',
      table: 'filter',
      chain: 'FORWARD',
      rule: `-p tcp -m tcp --dport ${port} -j ACCEPT`,
      first: true,
    },
    { tool: 'iptables', table: 'filter', chain: 'FORWARD' },
    {
      tool: 'iptables',
      table: 'filter',
      chain: 'FORWARD',
      rule: '-m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT',
    },
    {
      tool: 'iptables',
      table: 'filter',
      chain: 'OUTPUT',
      rule: `-d 10.247.0.0/16 -p tcp -m tcp --dport ${port} -j DROP`,
    },
    {
      tool: 'iptables',
      table: 'nat',
      chain: 'POSTROUTING',
      rule: `-p tcp -m tcp --dport ${port} -j MASQUERADE`,
      first: true,
    },
    {
      tool: 'iptables',
      table: 'nat',
      chain: 'PREROUTING',
      rule: `-p tcp -m tcp --dport ${port} -j ACCEPT`,
      first: true,
    },
    {
      tool: 'iptables',
      table: 'raw',
      chain: 'PREROUTING',
      rule: `-s 192.168.0.12/32 -p tcp -m tcp --dport ${port} -j DROP`,
    },
    {
      tool: 'iptables',
      table: 'mangle',
      chain: 'PREROUTING',
      rule: `-p tcp -m tcp --dport ${port} -j MARK --set-xmark 0x20/0x20`,
    },
  ],
);

const foreign: fc.Arbitrary<ForeignRule[]> = fc.array(
  fc
    .record({
      node: maybe(node, 2),
      rule: fc.oneof(
        fc.constantFrom(...iptablesRules),
        fc.record({
          tool: fc.constant('nft' as const),
          what: fc.constantFrom(
            'forwardToPortOnly' as const,
            'rejectInput' as const,
            'rejectForward' as const,
            'dropRaw' as const,
            'dropOutput' as const,
            'masqueradeAll' as const,
            'markAll' as const,
          ),
          port: fc.constantFrom(...PORTS),
        }),
      ),
    })
    .map(({ node, rule }) => (node === undefined ? rule : { ...rule, node })),
  { minLength: 1, maxLength: 3 },
);

/** Clusters of one to five nodes whose proxies run in one of the modes. */
export const scenarios = (modes: readonly Mode[]): fc.Arbitrary<Scenario> =>
  fc
    .record({
      profile: profiles(modes),
      nodes: fc.integer({ min: 1, max: MOST_NODES }),
      pods,
      services: fc.array(service, { minLength: 1, maxLength: 3 }),
      hasVpcServer: maybe(fc.constant(true), 6),
      natTo: maybe(node, 5),
      foreign: maybe(foreign, 3),
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
