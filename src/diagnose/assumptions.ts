import { Addr, type Port, type Protocol, portOf } from '../ip/ip.ts';
import type { EndpointSlice } from '../kube/objects.ts';
import type { Outcome, WalkRequest } from '../trace/trace.ts';
import type { Cluster } from '../world/from-objects/from-objects.ts';
import { declaresPorts } from '../world/from-objects/listeners.ts';
import { podIPsOf } from '../world/from-objects/pod-addresses.ts';
import { hostOf } from '../world/world.ts';

/*
 * What an answer takes for granted of processes. Whether one listens stands in no object: a pod that declares no port may have
 * any. Where its sockets were read, nothing is assumed.
 */

/** Where a connection came to. */
interface Arrival {
  readonly host: string;
  readonly port: Port;
  readonly protocol: Protocol;
}

/** The assumptions that carry these outcomes, a sentence each. */
export function assumptionsOf(
  cluster: Cluster,
  outcomes: readonly { readonly request: WalkRequest; readonly outcome: Outcome }[],
): string[] {
  const arrivals = outcomes.flatMap(({ request: { protocol }, outcome: { endpoint, reason } }) =>
    endpoint === undefined ? [] : [{ host: endpoint.host, port: endpoint.port, protocol, reason }],
  );
  const refused = arrivals.filter(({ reason, host }) => reason === 'noListener' && isSilent(cluster, host));
  return [
    ...sentences(arrivals.filter(isGuess(cluster)), guessed),
    ...sentences(refused, ({ who, port }) => `nothing of ${who} listens on ${port}, where no Service sends`),
  ];
}

/** Those that carry whatever is said of a Service (`namespace/name`): the ones of its endpoints. */
export function assumptionsOfService(cluster: Cluster, service: string): string[] {
  const arrivals = (cluster.slices.get(service) ?? []).flatMap((slice) => arrivalsAt(cluster, slice));
  return sentences(arrivals.filter(isGuess(cluster)), guessed);
}

function arrivalsAt(cluster: Cluster, { endpoints, ports }: EndpointSlice): Arrival[] {
  const addresses = new Set((endpoints ?? []).flatMap((endpoint) => endpoint.addresses));
  const behind = [...cluster.pods.values()].filter(({ pod }) =>
    podIPsOf(pod).some((ip) => addresses.has(Addr.isAddr(ip) ? Addr.parse(ip).text : ip)),
  );
  return behind.flatMap(({ host }) =>
    (ports ?? []).flatMap(({ port, protocol = 'TCP' }) =>
      port === undefined ? [] : [{ host, port: portOf(port), protocol: protocol as Protocol }],
    ),
  );
}

const isGuess =
  ({ world }: Cluster) =>
  ({ host, port, protocol }: Arrival): boolean =>
    hostOf(world, host).listeners.some(
      (one) => one.isGuess === true && one.port === port && one.protocol === protocol,
    );

/** A pod of which nobody knows where it listens. */
function isSilent(cluster: Cluster, host: string): boolean {
  const own = cluster.pods.get(host);
  if (own === undefined || own.hasSockets === true) return false;
  return hostOf(cluster.world, host).readFrom === undefined && !declaresPorts(own.pod);
}

const guessed = ({ who, port, isMany }: Named): string =>
  `${who} ${isMany ? 'listen' : 'listens'} on ${port}, where Services send`;

interface Named {
  readonly who: string;
  readonly isMany: boolean;
  readonly port: string;
}

/** One for each port, with one of the pods by name. */
function sentences(arrivals: readonly Arrival[], say: (named: Named) => string): string[] {
  const byPort = Map.groupBy(arrivals, ({ port, protocol }) => `${port}/${protocol}`);
  return [...byPort].map(([port, all]) => {
    const [first = '', ...more] = new Set(all.map(({ host }) => host));
    const isMany = more.length > 0;
    const who = isMany ? `'${first}' and ${more.length} more` : `'${first}'`;
    return `${say({ who, isMany, port })}: ${isMany ? 'they declare' : 'it declares'} no ports`;
  });
}
