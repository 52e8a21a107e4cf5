/** What random Worlds are made of: every value of every dimension, and nothing that cannot be built. */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { LOCAL_DETECTORS } from '../../src/world/profile.ts';
import { hostsOf } from '../../src/world/world.ts';
import { scenarios } from './arbitrary.ts';
import { NFT_KINDS } from './foreign-rules.ts';
import { questionsOf } from './questions.ts';
import { clusterOf, type Scenario } from './scenario.ts';
import { traitsOf } from './traits.ts';

const ANY = scenarios(['nftables', 'iptables', 'ipvs']);
const sample = (numRuns: number): Scenario[] => fc.sample(ANY, { seed: 7, numRuns });

const each = (name: string, ...values: readonly unknown[]) => values.map((value) => `${name}=${value}`);

const TRAITS = [
  ...each('nodes', 1, 2, 3, 4, 5),
  ...each('network', 'tunnel', 'vpc', 'eni'),
  ...each('ipFamilies', 'IPv6', 'IPv4,IPv6', 'IPv6,IPv4'),
  ...each('service.stack', 'single', 'other', undefined),
  ...each('cloud', 'generic', 'cce', 'ack', 'tke'),
  ...each('proxyMode', 'nftables', 'iptables', 'ipvs'),
  ...each('kubernetesVersion', '1.33', '1.28', '1.24', '1.22'),
  ...each('masqueradeAll', true, false),
  ...each('detectLocal', ...LOCAL_DETECTORS),
  ...each('nodePortAddresses', 'primary', '192.168.0.0/24', '192.168.0.11/32', '127.0.0.0/8'),
  ...each('localhostNodePorts', true),
  ...each('rpFilter', 0, 2),
  ...each('bridgeNfCallIptables', true),
  ...each('pod.hostNetwork', true, undefined),
  ...each('pod.state', 'notReady', 'terminating', 'drained', undefined),
  ...each('service.type', 'ClusterIP', 'NodePort', 'LoadBalancer'),
  ...each('service.external', 'Local', undefined),
  ...each('service.internal', 'Local', undefined),
  ...each('service.affinity', true, undefined),
  ...each('service.hints', 'zones', 'nodes', 'some', undefined),
  ...each('service.sourceRanges', '192.168.0.0/24', '203.0.113.0/24', undefined),
  ...each('service.externalIPs', '100.64.9.9', '192.168.9.9', '192.168.0.11', undefined),
  ...each('service.ingress', 'private', 'public'),
  ...each('service.ipMode', 'Proxy', undefined),
  ...each('port.protocol', 'TCP', 'UDP'),
  ...each('port.target', 'open', 'named', 'closed'),
  ...each('gateway', true, false),
  ...each('foreign on', 'node', 'pod', 'router', 'balancer', 'vpc-host', 'client'),
  ...each('foreign', ...NFT_KINDS),
  ...each('foreign', 'filter INPUT DROP', 'filter INPUT REJECT', 'filter FORWARD policy'),
  ...each(
    'foreign',
    'mangle PREROUTING MARK',
    'nat PREROUTING DNAT',
    'nat OUTPUT DNAT',
    'raw PREROUTING DROP',
  ),
];

it('vary in every dimension, and never so that one value is nearly all there is', () => {
  const some = sample(400);
  const seen = new Map<string, number>();
  for (const one of some) for (const trait of traitsOf(one)) seen.set(trait, (seen.get(trait) ?? 0) + 1);
  expect(TRAITS.filter((trait) => (seen.get(trait) ?? 0) < 3)).toEqual([]);
  // Of what is drawn for each Service or pod, leaving it out has to be common as well.
  for (const trait of ['pod.hostNetwork', 'pod.state', 'service.affinity', 'service.internal']) {
    expect(seen.get(`${trait}=undefined`)).toBeGreaterThan(some.length / 2);
  }
});

it('stand for Worlds that hold what they say', () => {
  const kinds = new Set<string>();
  for (const scenario of sample(120)) {
    const cluster = clusterOf(scenario);
    for (const { keepClientAddress } of cluster.balancers)
      kinds.add(`balancer keeps client ${keepClientAddress}`);
    if (cluster.forwards.length > 0) kinds.add('forwards');
    for (const { sysctls } of hostsOf(cluster.world, 'node')) {
      kinds.add(`rp_filter ${sysctls.rpFilter}`);
      kinds.add(`route_localnet ${sysctls.routeLocalnet ?? false}`);
      kinds.add(`br_netfilter ${sysctls.bridgeNfCallIptables}`);
    }
    const asked = questionsOf(scenario, cluster);
    if (asked.some(({ from, to }) => from.startsWith('n') && to.isLoopback)) kinds.add('localhost');
    if (asked.some(({ isSticky }) => isSticky === true)) kinds.add('sticky');
  }
  expect([...kinds].sort()).toEqual([
    'balancer keeps client false',
    'balancer keeps client true',
    'br_netfilter false',
    'br_netfilter true',
    'forwards',
    'localhost',
    'route_localnet false',
    'route_localnet true',
    'rp_filter 0',
    'rp_filter 1',
    'rp_filter 2',
    'sticky',
  ]);
});

it('shrink to Worlds that can be, and to the least that still shows the matter', () => {
  const isShown = ({ services, pods, foreign = [] }: Scenario) =>
    services.some(({ affinity }) => affinity === true) &&
    pods.some(({ hostNetwork }) => hostNetwork === true) &&
    foreign.some(({ on }) => on === 'router');
  const { counterexample } = fc.check(
    fc.property(ANY, (scenario) => {
      clusterOf(scenario);
      return !isShown(scenario);
    }),
    { seed: 7, numRuns: 1000 },
  );
  const [least] = counterexample ?? [];
  expect(least).toMatchObject({
    nodes: 1,
    services: [{ affinity: true, ports: [{ target: 'open' }] }],
    foreign: [{ on: 'router' }],
  });
  expect(least?.pods.length).toBeLessThan(3);
  expect(least?.services[0]).not.toHaveProperty('hints');
});
