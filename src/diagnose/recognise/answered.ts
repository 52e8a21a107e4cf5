import type { Port, Protocol } from '../../ip/ip.ts';
import { isKept } from './balancer.ts';
import { firstOf, type Recogniser, recognised } from './recognised.ts';
import { serviceText } from './situation.ts';

/** What may be amiss with a connection that reached: the more it hurts, the earlier it stands. */
export const answered: Recogniser = (situation) =>
  firstOf(
    [listenerBypassed, processHidden, affinityOfOne, fewMasquerade, unevenShare, sourceLost],
    situation,
  );

/** The balancer would have ended TLS, or told of the client, and was never passed. */
const listenerBypassed: Recogniser = ({ dialled, passedBalancer, balanced, outcome }) => {
  if (dialled?.by !== 'loadBalancer' || passedBalancer !== undefined || balanced === undefined)
    return undefined;
  const { balancer, listener } = balanced;
  const { ends, proxyProtocol } = listener ?? {};
  // Plain HTTP is the same to a pod, whoever sends it.
  const does = proxyProtocol
    ? 'writes a PROXY header'
    : ends === 'HTTPS' || ends === 'TLS'
      ? `ends ${ends}`
      : undefined;
  if (does === undefined || listener === undefined) return undefined;
  return recognised(
    'FL017',
    `${balancer.name} ${does} on port ${listener.port}, and the connection never passes it: ${outcome.endpoint?.host ?? 'the pod'} gets the bytes of the client as they are`,
  );
};

/** A process of the node listens on a node port, or a pod has it for its hostPort, and the rules of the Service are before both. */
const processHidden: Recogniser = ({ dialled, dialledNode: node, request, outcome }) => {
  if (dialled?.by !== 'nodePort') return undefined;
  const { to, port, protocol } = request;
  const wants = (one: { readonly port: Port; readonly protocol: Protocol }) =>
    one.port === port && one.protocol === protocol;
  const hostPort = node?.hostPorts?.find((one) => wants(one) && (one.addr ?? to).equals(to));
  if (node === undefined || !(hostPort !== undefined || node.listeners?.some(wants))) return undefined;
  if (outcome.endpoint?.host === node.name && outcome.endpoint.port === port) return undefined;
  const who =
    hostPort === undefined ? `a process of ${node.name}` : `${hostPort.to} by its hostPort on ${node.name}`;
  return recognised(
    'FL030',
    `${who} has ${port}/${protocol} as well, and ${serviceText(dialled)} gets what is sent there`,
  );
};

/** Nodes tell clients apart by an address that all of them share. */
const affinityOfOne: Recogniser = ({ dialled, passedBalancer, balanced }) => {
  if (dialled?.service.spec?.sessionAffinity !== 'ClientIP' || balanced?.listener === undefined)
    return undefined;
  if (passedBalancer === undefined || isKept(balanced)) return undefined;
  return recognised(
    'FL028',
    `${passedBalancer} hides its clients, so to a node all of them are ${balanced.balancer.address}: one client, which ${serviceText(dialled)} keeps with one pod`,
  );
};

/** As many nodes, or fewer, are few for all clients of a balancer. */
const FEW = 2;
/** Ports a node may masquerade to towards one endpoint, and how long a closed connection holds one (nf_conntrack_tcp_timeout_time_wait). */
const SOURCE_PORTS = 65_535 - 1023;
const TIME_WAIT_SECONDS = 120;

const fewMasquerade: Recogniser = (situation) => {
  const { cluster, passedBalancer, balanced, rewriter, outcome, readyCount } = situation;
  if (passedBalancer === undefined || balanced?.listener === undefined) return undefined;
  const own = cluster.world.hosts.get(rewriter ?? '')?.interfaces.flatMap(({ addresses }) => addresses) ?? [];
  if (!own.some(({ addr }) => addr.text === outcome.sourceSeen?.text)) return undefined;
  const { members } = balanced.listener;
  const nodes = new Set(members.map(({ addr }) => addr.text));
  if (nodes.size > FEW || nodes.size >= cluster.nodes.length) return undefined;
  const most = nodes.size * SOURCE_PORTS * readyCount;
  return recognised(
    'FL026',
    `${nodes.size} of ${cluster.nodes.length} nodes masquerade for every client of ${passedBalancer}: at most ${most} connections at a time to ${readyCount} endpoints, ${Math.floor(most / TIME_WAIT_SECONDS)} new ones a second`,
  );
};

const sourceLost: Recogniser = (situation) => {
  const { client, outcome, dialled, balanced, passedBalancer } = situation;
  const isOutside = client?.role === 'client' || client?.role === 'vpc-host';
  if (!isOutside || dialled === undefined || situation.keepsSource) return undefined;
  const { ends } = balanced?.listener ?? {};
  const told =
    passedBalancer !== undefined && (ends === 'HTTP' || ends === 'HTTPS')
      ? `; ${passedBalancer} ends ${ends} and names the client in X-Forwarded-For`
      : '';
  return recognised('FL024', `the pod sees ${outcome.sourceSeen} and not ${situation.request.from}${told}`);
};

/** Nodes get as much each, and have different numbers of pods. */
const unevenShare: Recogniser = ({ dialled, passedBalancer, outcome, readyCount }) => {
  if (dialled?.service.spec?.externalTrafficPolicy !== 'Local' || passedBalancer === undefined)
    return undefined;
  const times = outcome.probability * readyCount;
  if (outcome.endpoint === undefined || Math.abs(times - 1) < 0.01) return undefined;
  return recognised(
    'FL025',
    `${outcome.endpoint.host} gets ${percent(outcome.probability)} of what comes by ${passedBalancer}, ${Math.round(times * 100) / 100} times an even share of ${percent(1 / readyCount)}`,
  );
};

const percent = (share: number): string => `${Math.round(share * 1000) / 10} %`;
