import { isAtLeast } from '../../world/profile.ts';
import { firstOf, type Recognised, type Recogniser, recognised } from './recognised.ts';
import { namesText, type Situation, serviceText } from './situation.ts';

/** A node that a policy Local keeps from sending on. */
export const keptLocal: Recogniser = (situation) =>
  firstOf([internalPolicy, ownElasticAddress, externalPolicy], situation);

const internalPolicy: Recogniser = (situation) => {
  const { dialled, clientNode } = situation;
  if (dialled?.by !== 'clusterIP' || dialled.service.spec?.internalTrafficPolicy !== 'Local')
    return undefined;
  const { readyNodes } = situation;
  if (clientNode === undefined || readyNodes.has(clientNode)) return undefined;
  return recognised(
    'FL005',
    `internalTrafficPolicy of ${serviceText(dialled)} is Local, and ${clientNode} runs none of its endpoints (${namesText(readyNodes)} do)`,
  );
};

/** Policy Local, and the node the packet came to has no endpoint. */
function localWithoutEndpoint({ dialled, enteredNode, readyNodes }: Situation): string | undefined {
  if (dialled === undefined || dialled.by === 'clusterIP') return undefined;
  if (dialled.service.spec?.externalTrafficPolicy !== 'Local') return undefined;
  return enteredNode === undefined || readyNodes.has(enteredNode) ? undefined : enteredNode;
}

const ownElasticAddress: Recogniser = (situation) => {
  const { request, clientNode } = situation;
  if (localWithoutEndpoint(situation) === undefined) return undefined;
  if (clientNode === undefined || situation.elasticOwner(request.to) !== clientNode) return undefined;
  return recognised(
    'FL004',
    `${request.to} is the elastic address of ${clientNode} itself: the packet comes back from the gateway as one from outside`,
  );
};

const externalPolicy: Recogniser = (situation) => {
  const { dialled, readyNodes, outcome } = situation;
  const node = localWithoutEndpoint(situation);
  if (node === undefined || dialled === undefined) return undefined;
  const because = `externalTrafficPolicy of ${serviceText(dialled)} is Local, and ${node} runs none of its endpoints (ready on: ${namesText(readyNodes)})`;
  return recognised(outcome.reason === 'emptyVirtualServer' ? 'FL002' : 'FL001', because);
};

/** A node without an endpoint sends on all the same, and rewrites no source. */
export const sentOnUnmasqueraded: Recogniser = (situation) => {
  const { proxyMode, kubernetesVersion } = situation.cluster.profile;
  if (proxyMode !== 'ipvs') return takenForLocal(situation);
  return isAtLeast(kubernetesVersion, 1, 24) ? sentOnByIpvs(situation) : undefined;
};

const sentOnByIpvs: Recogniser = (situation): Recognised | undefined => {
  const { dialled, clientNode, request, outcome } = situation;
  const node = localWithoutEndpoint(situation);
  if (node === undefined || dialled === undefined) return undefined;
  const own = ownElasticAddress(situation);
  if (own !== undefined) return own;
  const endpoint = outcome.endpoint?.host ?? namesText(situation.readyNodes);
  if (node === clientNode && situation.isNode(request.from)) {
    return recognised(
      'FL018',
      `${node} sends its own packet to ${endpoint} as it is, and the answer has no way back`,
    );
  }
  return recognised(
    'FL003',
    `${node} runs no endpoint of ${serviceText(dialled)}: it sends on to ${endpoint} and rewrites no source, so the answer does not pass ${node}`,
  );
};

/** The short cut for pods of the node, open to a pod of another one: both have addresses of the cluster's range. */
const takenForLocal: Recogniser = (situation) => {
  const { cluster, client, clientNode, rewriter, request } = situation;
  const node = localWithoutEndpoint(situation);
  if (node === undefined || node !== rewriter || client?.role !== 'pod' || clientNode === node)
    return undefined;
  return recognised(
    'FL043',
    `${node} takes ${request.from} of ${clientNode} for a pod of its own (detectLocalMode ${cluster.profile.detectLocal}), so it sends on and masquerades nothing`,
  );
};
