import type { Outcome, Reason, WalkRequest } from '../trace/trace.ts';
import type { Cluster } from '../world/from-objects/from-objects.ts';
import { familyText, isWithin, rangesOf } from '../world/profile.ts';
import { type CauseCode, causeEntry } from './causes/registry.ts';
import { answered } from './recognise/answered.ts';
import { capturedPort } from './recognise/capture.ts';
import { outsideSourceRanges, refusedByPod, withoutEndpoints } from './recognise/endpoints.ts';
import { notLoaded } from './recognise/loaded.ts';
import { keptLocal, sentOnUnmasqueraded } from './recognise/policy.ts';
import { firstOf, type Recogniser, recognised } from './recognise/recognised.ts';
import { isServiceRule } from './recognise/service-rule.ts';
import { Situation } from './recognise/situation.ts';
import {
  besideBackend,
  filteredAtTunnel,
  fromCapturedAddress,
  lostReply,
  martian,
  outsideTunnel,
} from './recognise/way.ts';

/** Why an outcome is what it is. */
export interface Cause {
  readonly code: CauseCode;
  readonly title: string;
  /** The same with the names of this case; a sentence. */
  readonly because: string;
  /** The rule, route or entry that decided, as its tool prints it; the step in words where there is none. */
  readonly rule?: string;
  /** `file:line` of a rule that was read. */
  readonly place?: string;
}

/**
 * The cause of an outcome. Every outcome that did not reach has one; one that did has one where it came out other than
 * meant: answered by another, or with something lost on the way.
 */
export function causeOf(cluster: Cluster, request: WalkRequest, outcome: Outcome): Cause | undefined {
  const situation = new Situation(cluster, request, outcome);
  const found = notLoaded(situation) ?? firstOf(RECOGNISERS[outcome.reason], situation);
  if (found === undefined) return undefined;
  const step = outcome.deciding?.step;
  return {
    code: found.code,
    title: causeEntry(found.code).title,
    because: found.because,
    ...(step === undefined ? {} : { rule: step.rule ?? step.detail }),
    ...(step?.place === undefined ? {} : { place: step.place }),
  };
}

/** What an outcome's last word names: its step, with the host. */
const decided = ({ deciding, outcome }: Situation): string =>
  deciding === undefined
    ? 'it ends on the way'
    : `it ends at ${deciding.host}: ${outcome.deciding?.step.detail ?? ''}`;

/** The rule and its place, where it was read from a file. */
function whereRead({ outcome }: Situation): string {
  const { rule, place } = outcome.deciding?.step ?? {};
  return place === undefined ? '' : ` (${place}: ${rule ?? ''})`;
}

const onlyBack =
  (recognise: Recogniser): Recogniser =>
  (situation) =>
    situation.deciding?.direction === 'reply' ? recognise(situation) : undefined;

/** A machine that is no node and no pod knows no clusterIP. */
const clusterIPFromOutside: Recogniser = ({ cluster, request, clientNode }) => {
  if (clientNode !== undefined || !isWithin(cluster.profile, 'serviceCIDR', request.to)) return undefined;
  return recognised(
    'FL038',
    `${request.from} is no node, and ${request.to} exists in the rules of nodes only`,
  );
};

/** Of IPv4 and IPv6 the client has the other one. */
const otherFamily: Recogniser = ({ client, request, dialled, deciding }) => {
  const { family } = request.to;
  const addresses = client?.interfaces.flatMap((each) => each.addresses) ?? [];
  if (client === undefined || addresses.some(({ addr }) => addr.family === family)) return undefined;
  if (deciding !== undefined && deciding.host !== client.name) return undefined;
  const whose = dialled === undefined ? '' : `, svc/${dialled.name}'s,`;
  return recognised(
    'FL045',
    `${request.to}${whose} is of ${familyText(family)}, and ${client.name} has none`,
  );
};

const natGateway: Recogniser = ({ cluster, request, client }) => {
  const { to, port } = request;
  if (client?.role === 'client' || !cluster.forwards.some(({ elastic }) => elastic.equals(to)))
    return undefined;
  return recognised(
    'FL010',
    `${to} is a NAT gateway's, which forwards port ${port} for clients outside only`,
  );
};

/** The balancer of the Service has nobody to send to. */
const withoutBackend: Recogniser = (situation) => {
  const { cluster, deciding, request, dialled } = situation;
  if (dialled === undefined || deciding === undefined) return undefined;
  if (cluster.world.hosts.get(deciding.host)?.role !== 'balancer') return undefined;
  const nobody = recognised('FL035', `${deciding.host} has no backend for port ${request.port}`);
  return withoutEndpoints(situation) ?? nobody;
};

const foreignRule: Recogniser = (situation) => {
  const { deciding } = situation;
  if (deciding === undefined || isServiceRule(deciding.rule)) return undefined;
  const { place } = situation.outcome.deciding?.step ?? {};
  const where = place === undefined ? '' : ` (${place})`;
  return recognised('FL034', `${deciding.host} runs a rule that is no Service's${where}: ${deciding.rule}`);
};

const nothingListens: Recogniser = ({ outcome, request, deciding }) =>
  recognised(
    'FL035',
    `${outcome.endpoint?.host ?? deciding?.host ?? request.to} has ${request.to}, and neither a Service nor a process there has port ${request.port}`,
  );

const invalid: Recogniser = (situation) =>
  /ctstate INVALID|ct state invalid/.test(situation.deciding?.rule ?? '') ? lostReply(situation) : undefined;

/** The VPC drops what a machine sends from a source that is not its own. */
const notOwned: Recogniser = (situation) => {
  const { outcome, deciding } = situation;
  const hosts = outcome.hops.map(({ host }) => host);
  const sender = hosts[hosts.length - 2] ?? situation.request.from;
  return recognised(
    'FL041',
    `${sender} sent it from a source that ${deciding?.host ?? 'the VPC'} knows as another's`,
  );
};

const border: Recogniser = ({ client, request, cluster }) => {
  if (client?.role === 'client') {
    return recognised('FL042', `${request.to} is no address that the gateway knows from outside`);
  }
  const { family } = request.to;
  const { vpcCIDR } =
    rangesOf(cluster.profile).find((ranges) => ranges.vpcCIDR.family === family) ?? cluster.profile;
  return recognised(
    'FL042',
    `${request.to} is outside of ${vpcCIDR}, and ${request.from} leaves with no elastic address`,
  );
};

const byRule: readonly Recogniser[] = [
  onlyBack(lostReply),
  withoutBackend,
  foreignRule,
  invalid,
  capturedPort,
  withoutEndpoints,
  outsideSourceRanges,
  keptLocal,
  nothingListens,
];

const noWay: readonly Recogniser[] = [
  natGateway,
  clusterIPFromOutside,
  onlyBack(lostReply),
  (situation) => recognised('FL036', decided(situation)),
];

/** Whom to ask, by the walk's reason; the first that knows the case is believed. */
const RECOGNISERS: Readonly<Record<Reason, readonly Recogniser[]>> = {
  answered: [capturedPort, answered],
  noListener: [capturedPort, withoutBackend, refusedByPod, nothingListens],
  droppedByRule: byRule,
  rejectedByRule: byRule,
  emptyVirtualServer: [withoutEndpoints, keptLocal],
  sourceCheck: [fromCapturedAddress, sentOnUnmasqueraded, outsideTunnel, notOwned],
  noElasticAddress: [natGateway, clusterIPFromOutside, onlyBack(lostReply), border],
  martianSource: [martian, fromCapturedAddress, sentOnUnmasqueraded, ...noWay],
  martianDestination: noWay,
  reversePathFilter: [
    sentOnUnmasqueraded,
    besideBackend,
    filteredAtTunnel,
    (situation) => recognised('FL037', decided(situation)),
  ],
  noRoute: [otherFamily, ...noWay],
  blackholeRoute: noWay,
  unreachableRoute: noWay,
  broadcastDestination: noWay,
  notForwarding: noWay,
  timeToLiveExceeded: noWay,
  noNeighbour: noWay,
  noHairpin: noWay,
  tunnelToItself: noWay,
  noForwardingEntry: noWay,
  otherHost: noWay,
  noLink: noWay,
  replyNotTranslated: [lostReply],
  replySourceMismatch: [lostReply],
  replyMisdelivered: [lostReply],
  handshakeInvalid: [sentOnUnmasqueraded, lostReply],
  sourceNotLocal: noWay,
  loop: noWay,
  unmodelled: [(situation) => recognised('FL040', `${decided(situation)}${whereRead(situation)}`)],
  tooManyBranches: [(situation) => recognised('FL040', decided(situation))],
};
