import { Addr, Endpoint, portOf } from '../../../ip/ip.ts';
import type { Situation } from '../../recognise/situation.ts';
import type { Attempt, Candidate } from '../fix.ts';

/** Inside the cluster, the clusterIP or the name. */
export const clusterIP: Candidate = function* (situation) {
  const { dialled, request, clientNode } = situation;
  const address = dialled?.service.spec?.clusterIP;
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
  for (const { name, address, elastic } of machines) {
    const isOutside = client?.role === 'client';
    const [wrong, right, side] = isOutside ? [address, elastic, 'elastic'] : [elastic, address, 'private'];
    if (right === undefined || wrong?.equals(request.to) !== true) continue;
    const dial = new Endpoint(right, request.port).text;
    yield { ...dialling(situation, right), title: `dial ${name} by its ${side} address: ${dial}` };
  }
};

/** A node that runs an endpoint. */
export const servingNode: Candidate = function* (situation) {
  const { cluster, request, dialled, readyNodes } = situation;
  if (dialled?.by !== 'nodePort') return;
  const isElastic = situation.elasticOwner(request.to) !== undefined;
  const serving = cluster.nodes.find(({ facts }) => readyNodes.has(facts.name));
  const address = isElastic ? serving?.facts.elastic : serving?.facts.address;
  if (serving === undefined || address === undefined || address.equals(request.to)) return;
  yield {
    ...dialling(situation, address),
    title: `dial ${serving.facts.name}, which runs a pod: ${new Endpoint(address, request.port).text}`,
    costs: ['the client has to know which nodes run a pod'],
  };
};

/** From outside, an address that leads in; on a node, the node port where the Service's own port was dialled. */
export const published: Candidate = function* (situation) {
  const { cluster, request, dialled, clientNode } = situation;
  const isNode = cluster.nodes.some(({ facts }) => facts.address.equals(request.to));
  if (!isNode && (dialled?.by !== 'clusterIP' || clientNode !== undefined)) return;
  for (const [name, service] of cluster.services) {
    const port = (service.spec?.ports ?? []).find((one) => one.port === request.port);
    const wanted = dialled === undefined ? port?.nodePort !== undefined : name === dialled.name;
    if (port === undefined || !wanted) continue;
    for (const address of cluster.cloudAddresses.get(name) ?? []) {
      yield {
        ...dialling(situation, address),
        title: `dial the balancer of svc/${name}: ${address}:${port.port}`,
      };
    }
    for (const { facts } of cluster.nodes.slice(0, 1)) {
      if (!port.nodePort) continue;
      const address = situation.client?.role === 'client' ? facts.elastic : facts.address;
      if (address === undefined) continue;
      yield {
        ...dialling(situation, address, port.nodePort),
        title: `dial the node port of svc/${name}: ${new Endpoint(address, portOf(port.nodePort)).text}`,
      };
    }
  }
};

function dialling({ request }: Situation, to: Addr, number: number = request.port): Omit<Attempt, 'title'> {
  const port = portOf(number);
  return { patch: { dial: new Endpoint(to, port).text }, costs: [], request: { ...request, to, port } };
}
