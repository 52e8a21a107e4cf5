import type { Addr } from '../../ip/ip.ts';
import type { Service } from '../../kube/objects.ts';
import { firstOf, type Recognised, type Recogniser, recognised } from './recognised.ts';
import { type Situation, serviceText } from './situation.ts';

/** An address that IPVS has made the node's own, dialled on a port that no Service has. */
export function capturedPort(situation: Situation): Recognised | undefined {
  const { request, dialled } = situation;
  if (!situation.isCaptured(request.to)) return undefined;
  if (dialled !== undefined) return passedThroughInVain(situation);
  return firstOf([answeredHere, inRange, ownedByIngress, foreign], situation);
}

/** The Service asks for its address to be left alone, and another one with the same address does not. */
const passedThroughInVain: Recogniser = (situation) => {
  const { dialled, request, clientNode } = situation;
  if (dialled?.by !== 'loadBalancer' || bindsAddress(dialled.service, request.to)) return undefined;
  const binding = situation.servicesAt(request.to).filter(([, service]) => bindsAddress(service, request.to));
  if (binding.length === 0) return undefined;
  return recognised(
    'FL019',
    `${serviceText(dialled)} wants ${request.to} left alone, and ${binding.map(([name]) => `svc/${name}`).join(', ')} binds it on ${clientNode}, for every port`,
  );
};

/** Whether kube-proxy binds the address for the Service; ipMode Proxy (KEP-1860) keeps it from that. */
const bindsAddress = ({ status }: Service, addr: Addr): boolean =>
  (status?.loadBalancer?.ingress ?? []).some(
    (one: { readonly ip?: string; readonly ipMode?: string }) =>
      one.ip === addr.text && one.ipMode !== 'Proxy',
  );

const capturedBy = (situation: Situation): string =>
  situation
    .servicesAt(situation.request.to)
    .map(([name]) => `svc/${name}`)
    .join(', ') || 'a Service';

const answeredHere: Recogniser = (situation) => {
  const { outcome, request, clientNode } = situation;
  if (outcome.verdict !== 'reached') return undefined;
  return recognised(
    'FL012',
    `${capturedBy(situation)} binds ${request.to} on ${clientNode}, and a process of ${outcome.endpoint?.host} listens on port ${request.port}`,
  );
};

const inRange: Recogniser = (situation) => {
  const { to, port } = situation.request;
  const { balancer, listener } = situation.balanced ?? {};
  if (balancer === undefined || listener?.lastPort === undefined) return undefined;
  const listed = situation
    .servicesAt(to)
    .flatMap(([, { spec }]) => (spec?.ports ?? []).map((one) => one.port));
  return recognised(
    'FL015',
    `port ${port} is one of ${listener.port}-${listener.lastPort}, on which ${balancer.name} listens, and spec.ports of ${capturedBy(situation)} lists ${listed.join(', ')} only`,
  );
};

/** An Ingress that names the balancer, or whose own address it is and which listens there. */
const ownedByIngress: Recogniser = (situation) => {
  const { to, port } = situation.request;
  const ids = situation.servicesAt(to).flatMap(([name]) => situation.cluster.balancerOf.get(name) ?? []);
  const ingress = situation.cluster.ingresses.find(
    ({ annotations, addresses, ports }) =>
      Object.values(annotations).some((value) => ids.includes(value)) ||
      (ports.includes(port) && addresses.some((addr) => addr.equals(to))),
  );
  if (ingress === undefined) return undefined;
  const kind = ingress.className === undefined ? '' : ` of class ${ingress.className}`;
  return recognised(
    'FL014',
    `ingress/${ingress.name}${kind} is on the balancer of ${capturedBy(situation)}, whose address ${to} every node keeps for itself`,
  );
};

const foreign: Recogniser = (situation) => {
  const { to, port } = situation.request;
  return recognised(
    'FL011',
    `${capturedBy(situation)} binds ${to} on ${situation.clientNode}, and no Service has port ${port} there`,
  );
};
