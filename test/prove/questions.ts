import { Addr, portOf } from '../../src/ip/ip.ts';
import type { Question } from '../../src/lab/prove/prove.ts';
import { addressesOf } from '../../src/world/facts.ts';
import type { Cluster } from '../../src/world/from-objects/from-objects.ts';
import { rangesOf } from '../../src/world/profile.ts';
import { type Host, hostsOf } from '../../src/world/world.ts';
import { addrsIn, written } from './families.ts';
import {
  CLOSED,
  cloudAddressesOf,
  clusterAddress,
  familiesOfService,
  GATEWAY,
  hostPort,
  nodePort,
  OPEN,
  podAddress,
  type Scenario,
  servicePort,
  VPC_SERVER,
} from './scenario.ts';

type Target = Omit<Question, 'from'>;

const LOCALHOST = '127.0.0.1';

/** Every client at every address of Services, pods and nodes; at most `most` questions, spread evenly. */
export function questionsOf(scenario: Scenario, cluster: Cluster, most = 400): Question[] {
  const clients = [...cluster.world.hosts.values()].filter(
    ({ role }) => role === 'pod' || role === 'node' || role === 'client' || role === 'vpc-host',
  );
  const targets = targetsOf(scenario, cluster);
  const ranges = rangesOf(cluster.profile).flatMap(({ vpcCIDR, podCIDR, serviceCIDR }) => [
    vpcCIDR,
    podCIDR,
    serviceCIDR,
  ]);
  // What an outside client makes of an address inside is nearly always the same: it asks a few of those.
  const fits = ({ role }: Host, { to }: Target, at: number) => {
    if (to.isLoopback) return role === 'node';
    const isInside = ranges.some((range) => range.contains(to));
    return role !== 'client' || at % 5 === 0 || !isInside;
  };
  const all = clients.flatMap((client) =>
    targets
      .filter((target, at) => fits(client, target, at))
      .map((target) => ({ ...target, from: client.name })),
  );
  const step = Math.max(1, all.length / most);
  return Array.from({ length: Math.min(most, all.length) }, (_, at) => all[Math.floor(at * step)]).filter(
    (one) => one !== undefined,
  );
}

function targetsOf(scenario: Scenario, cluster: Cluster): Target[] {
  const { profile } = cluster;
  const targets = [
    ...scenario.services.flatMap((_, at) => serviceTargets(scenario, cluster, at)),
    ...podTargets(scenario, cluster),
    ...cluster.nodes.flatMap(({ facts }) => addressesOf(facts).map((addr) => tcp(addr, CLOSED))),
    ...addrsIn(profile, '10.247.9.9').map((addr) => tcp(addr, 80)),
    ...(scenario.natTo === undefined ? [] : gatewayTargets(scenario, cluster)),
    ...(scenario.hasVpcServer === true ? addrsIn(profile, VPC_SERVER).map((addr) => tcp(addr, OPEN)) : []),
  ];
  // Somebody's rule may lead anybody to the first Service.
  const isLed = scenario.foreign !== undefined && scenario.services[0]?.affinity === true;
  const byAddress = Map.groupBy(targets, ({ protocol, to, port }) => `${protocol} ${to} ${port}`);
  // Two Services may claim one address.
  return [...byAddress.values()].flatMap(([first, ...more]) =>
    first === undefined
      ? []
      : [{ ...first, isSticky: isLed || [first, ...more].some(({ isSticky }) => isSticky) }],
  );
}

function gatewayTargets({ services }: Scenario, { profile }: Cluster): Target[] {
  return addrsIn(profile, GATEWAY).flatMap((gateway) => [
    { ...tcp(gateway, 80), isSticky: services[0]?.affinity === true },
    tcp(gateway, 81),
  ]);
}

const tcp = (to: Addr, port: number): Target => ({ to, port: portOf(port), protocol: 'TCP' });

function serviceTargets(scenario: Scenario, { nodes, world, profile }: Cluster, at: number): Target[] {
  const service = scenario.services[at];
  if (service === undefined) return [];
  const isSticky = service.affinity === true;
  const external = [
    ...cloudAddressesOf(profile, service, at),
    ...addrsIn(profile, ...(service.externalIPs ?? [])),
  ];
  // Of a node: its own address, its elastic one, and those of its other interfaces.
  const ofNodes = hostsOf(world, 'node').flatMap(({ interfaces }) =>
    interfaces.flatMap((each) => (each.kind === 'dummy' ? [] : each.addresses.map(({ addr }) => addr))),
  );
  const elastic = nodes.flatMap(({ facts }) => [facts, facts.dual].flatMap((own) => own?.elastic ?? []));
  const own = familiesOfService(profile, service).map((family) => written(family, clusterAddress(at)));
  return service.ports.flatMap(({ protocol }, index): Target[] => {
    const target = (to: Addr, port: number): Target => ({ to, port: portOf(port), protocol, isSticky });
    const node = service.type === 'ClusterIP' ? [] : [...ofNodes, ...elastic];
    return [
      ...own.map((text) => target(Addr.parse(text), servicePort(index))),
      ...external.map((addr) => target(addr, servicePort(index))),
      // A port of the address that is no Service's.
      ...external.map((addr) => target(addr, 79)),
      ...node.map((addr) => target(addr, nodePort(at, index))),
      ...(node.length === 0 ? [] : addrsIn(profile, LOCALHOST)).map((addr) =>
        target(addr, nodePort(at, index)),
      ),
    ];
  });
}

function podTargets(scenario: Scenario, { profile }: Cluster): Target[] {
  return scenario.pods.flatMap((pod, at): Target[] => {
    const open = portOf(pod.hostNetwork === true ? hostPort(at) : OPEN);
    return addrsIn(profile, podAddress(profile, pod, at)).flatMap((to): Target[] => [
      tcp(to, open),
      { to, port: open, protocol: 'UDP' },
      tcp(to, CLOSED),
    ]);
  });
}
