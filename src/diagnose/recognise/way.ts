import { sentOnUnmasqueraded } from './policy.ts';
import { firstOf, type Recogniser, recognised } from './recognised.ts';

/** A source that the receiving host has itself. */
export const martian: Recogniser = (situation) => {
  const { passedBalancer, deciding } = situation;
  if (passedBalancer === undefined || deciding === undefined) return undefined;
  return recognised(
    'FL008',
    `${passedBalancer} keeps the client's address and chose ${deciding.host}, which has that address itself`,
  );
};

/** The request was heard, and its answer was not. */
export const lostReply: Recogniser = (situation) =>
  firstOf(
    [fromCapturedAddress, sentOnUnmasqueraded, backToClient, pastBalancer, switched, otherwise],
    situation,
  );

/** A node dials an address that is bound on it, and takes that very address for its own. */
export const fromCapturedAddress: Recogniser = (situation) => {
  const { request, clientNode, dialled, outcome } = situation;
  if (dialled?.by !== 'loadBalancer' || !situation.isNode(request.from)) return undefined;
  if (!situation.isCaptured(request.to) || outcome.sourceSeen?.equals(request.to) === false) return undefined;
  return recognised(
    'FL013',
    `${request.to} is bound on ${clientNode}, which therefore dials it from ${request.to}, and nothing rewrites that`,
  );
};

/** With IPv6 no host doubts that its own address comes from outside: the request is heard, and the answer stays at home. */
const backToClient: Recogniser = ({ passedBalancer, enteredNode, outcome, request }) => {
  const isChosen = enteredNode === request.from || outcome.endpoint?.host === request.from;
  if (passedBalancer === undefined || !isChosen || outcome.sourceSeen?.family !== 6) return undefined;
  return recognised(
    'FL008',
    `${passedBalancer} keeps the client's address and chose ${request.from}, which is the client itself and answers itself`,
  );
};

const pastBalancer: Recogniser = (situation) => {
  const { passedBalancer, outcome, clientNode } = situation;
  if (passedBalancer === undefined || outcome.endpoint === undefined) return undefined;
  if (situation.reply.some(({ host }) => host === passedBalancer)) return undefined;
  return recognised(
    'FL009',
    `${passedBalancer} chose ${situation.nodeOf(outcome.endpoint.host) ?? outcome.endpoint.host}, and the answer stays on ${clientNode ?? 'its way to the client'} without passing ${passedBalancer}`,
  );
};

const switched: Recogniser = (situation) => {
  const hop = situation.reply.find(({ steps }) => steps.some(({ kind }) => kind === 'switch'));
  if (hop === undefined || hop.host !== situation.rewriter) return undefined;
  return recognised(
    'FL007',
    `the bridge of ${hop.host} hands the answer to the client, past the rules that would translate it`,
  );
};

export const outsideTunnel: Recogniser = ({ cluster, outcome, deciding }) => {
  if (outcome.reason !== 'sourceCheck' || cluster.profile.network !== 'tunnel') return undefined;
  if (deciding?.direction !== 'reply') return undefined;
  return recognised(
    'FL006',
    `${outcome.endpoint?.host ?? 'the pod'} answers ${outcome.sourceSeen ?? 'the client'}, which its node routes past the tunnel, and the VPC knows no owner of ${outcome.endpoint?.ip ?? 'its address'}`,
  );
};

/** The same, where the other end of the tunnel sees it coming. */
export const filteredAtTunnel: Recogniser = ({ forward, deciding }) => {
  const last = forward.at(-1);
  if (last === undefined || last.host !== deciding?.host) return undefined;
  if (!last.steps.some(({ kind }) => kind === 'decapsulate')) return undefined;
  return recognised(
    'FL006',
    `it came to ${last.host} through the tunnel from an address that ${last.host} routes past the tunnel`,
  );
};

/** A pod's own address comes back from the balancer to the node it runs on. */
export const besideBackend: Recogniser = ({ passedBalancer, deciding, clientNode, request }) => {
  if (passedBalancer === undefined || deciding === undefined || deciding.host !== clientNode)
    return undefined;
  return recognised(
    'FL009',
    `${passedBalancer} chose ${deciding.host}, on which ${request.from} runs: its own address comes back from outside, and is not believed`,
  );
};

const otherwise: Recogniser = ({ outcome, deciding, rewriter }) =>
  recognised(
    'FL039',
    `the answer of ${outcome.endpoint?.host ?? 'the other end'} does not come back through ${rewriter ?? 'whoever rewrote the request'}${deciding === undefined ? '' : `; it ends at ${deciding.host}`}`,
  );
