import { Addr, Endpoint, portOf } from '../../../ip/ip.ts';
import type { ServicePort } from '../../../kube/objects.ts';
import { addressesOf, inFamily, type MachineAddresses, type NodeAddresses } from '../../../world/facts.ts';
import type { Situation } from '../../recognise/situation.ts';
import type { Attempt, Candidate } from '../fix.ts';

/** Inside the cluster, the clusterIP or the name. */
export const clusterIP: Candidate = function* (situation) {
  const { dialled, request, clientNode } = situation;
  const { clusterIP: first, clusterIPs: all = [] } = dialled?.service.spec ?? {};
  const address = all.find((text) => text.includes(':') === (request.to.family === 6)) ?? first;
  if (dialled === undefined || dialled.by === 'clusterIP' || clientNode === undefined) return;
  if (address === undefined || !Addr.isAddr(address)) return;
  const [namespace, name] = dialled.name.split('/');
  const dial = `${name}.${namespace}.svc:${dialled.port.port}`;
  const to = { to: Addr.parse(address), port: portOf(dialled.port.port) };
  yield {
    title: `inside the cluster, dial ${dial} (${address})`,
    patch: { dial },
    costs: [],
    request: { ...request, ...to },
  };
};

/** The other address of the machine that was dialled: the private one inside, the elastic one outside. */
export const otherSide: Candidate = function* (situation) {
  const { request, cluster, client } = situation;
  const machines = [...cluster.nodes.map(({ facts }) => facts), ...cluster.balancers];
  for (const { name, ...machine } of machines) {
    const { address, elastic } = inFamily<MachineAddresses>(machine, request.to.family) ?? {};
    const isOutside = client?.role === 'client';
    const [wrong, right, side] = isOutside ? [address, elastic, 'elastic'] : [elastic, address, 'private'];
    if (right === undefined || wrong?.equals(request.to) !== true) continue;
    const dial = new Endpoint(right, request.port).text;
    yield { ...dialling(situation, right), title: `dial ${name} by its ${side} address: ${dial}` };
  }
};

/** A node that runs an endpoint, by its private address inside and by its elastic one outside. */
export const servingNode: Candidate = function* (situation) {
  const { cluster, request, dialled, readyNodes, client } = situation;
  if (dialled?.by !== 'nodePort') return;
  const serving = cluster.nodes.find(({ facts }) => readyNodes.has(facts.name));
  const own = serving && inFamily<NodeAddresses>(serving.facts, request.to.family);
  const address = client?.role === 'client' ? own?.elastic : own?.address;
  if (serving === undefined || address === undefined || address.equals(request.to)) return;
  yield {
    ...dialling(situation, address),
    title: `dial ${serving.facts.name}, which runs a pod: ${new Endpoint(address, request.port).text}`,
    costs: ['the client has to know which nodes run a pod'],
  };
};

/**
 * From outside, the addresses by which a Service is published; on a node's address, the node port where the Service's own
 * port was dialled.
 */
export const published: Candidate = function* (situation) {
  const { cluster, request, dialled, clientNode } = situation;
  const isNode = cluster.nodes.some(({ facts }) =>
    addressesOf(facts).some((addr) => addr.equals(request.to)),
  );
  if (clientNode !== undefined && !isNode) return;
  for (const [name, service] of cluster.services) {
    const port = (service.spec?.ports ?? []).find((one) =>
      dialled === undefined
        ? (isNode && one.port === request.port) || leadsTo(situation, name, one)
        : name === dialled.name && dialled.by === 'clusterIP' && one.port === request.port,
    );
    if (port !== undefined) yield* waysIn(situation, name, port);
  }
};

/** Whether the Service's port sends to the address that was dialled. */
const leadsTo = ({ cluster, request }: Situation, name: string, { name: port = '' }: ServicePort): boolean =>
  (cluster.slices.get(name) ?? []).some(
    ({ endpoints, ports }) =>
      (ports ?? []).some((one) => (one.name ?? '') === port && one.port === request.port) &&
      (endpoints ?? []).some(({ addresses }) => addresses.includes(request.to.text)),
  );

function* waysIn(situation: Situation, name: string, port: ServicePort): Generator<Attempt> {
  const { cluster, client, request } = situation;
  for (const address of cluster.cloudAddresses.get(name) ?? []) {
    const title = `dial the balancer of svc/${name}: ${new Endpoint(address, portOf(port.port)).text}`;
    yield { ...dialling(situation, address, port.port), title };
  }
  const { nodePort } = port;
  if (!nodePort) return;
  const ready = (cluster.slices.get(name) ?? []).flatMap(({ endpoints }) => endpoints ?? []);
  const serving = cluster.nodes.find(({ facts }) => ready.some(({ nodeName }) => nodeName === facts.name));
  const own = serving && inFamily<NodeAddresses>(serving.facts, request.to.family);
  const address = client?.role === 'client' ? own?.elastic : own?.address;
  if (address === undefined) return;
  const title = `dial the node port of svc/${name}: ${new Endpoint(address, portOf(nodePort)).text}`;
  yield { ...dialling(situation, address, nodePort), title };
}

function dialling({ request }: Situation, to: Addr, number: number = request.port): Omit<Attempt, 'title'> {
  const port = portOf(number);
  return { patch: { dial: new Endpoint(to, port).text }, costs: [], request: { ...request, to, port } };
}
