import { firstOf, type Recognised, type Recogniser, recognised } from './recognised.ts';
import type { Situation } from './situation.ts';

const PORT_RANGES = 'kubernetes.io/elb.port-ranges';

/** An address that IPVS has made the node's own, dialled on a port that no Service has. */
export function capturedPort(situation: Situation): Recognised | undefined {
  const { request, dialled } = situation;
  if (dialled !== undefined || !situation.isCaptured(request.to)) return undefined;
  return firstOf([answeredHere, inRange, ownedByIngress, foreign], situation);
}

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
  for (const [name, service] of situation.servicesAt(to)) {
    const ranges = service.metadata?.annotations?.[PORT_RANGES] ?? '';
    const holds = [...ranges.matchAll(/(\d+)\s*[,-]\s*(\d+)/g)].some(
      ([, first, last]) => Number(first) <= port && port <= Number(last),
    );
    if (!holds) continue;
    const listed = (service.spec?.ports ?? []).map((one) => one.port).join(', ');
    return recognised(
      'FL015',
      `port ${port} is in the range of svc/${name}, whose spec.ports lists ${listed} only`,
    );
  }
  return undefined;
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
