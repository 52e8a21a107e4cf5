/**
 * Fixes: what cures a connection that fails, found by trying.
 *
 * Promises: every fix that is offered was applied to a copy of the objects or of the profile, the World was built anew and
 * the same client walked; it comes with the verdict it then has and with what it costs. Those that reach stand before those
 * that reach sometimes, those without a price before those with one.
 * Refuses: to offer what was not tried, what does not help, and what ends in `unknown`.
 *
 * @example
 * const cluster = clusterFrom(inventory, profile);
 * fixesFor(cluster, inventory, request).map(({ title, verdictAfter }) => `${title}: ${verdictAfter}`);
 */
import { Fault } from '../../fault/fault.ts';
import { type Outcome, type WalkRequest, walk } from '../../trace/trace.ts';
import { type Cluster, clusterFrom, type Inventory } from '../../world/from-objects/from-objects.ts';
import { causeOf } from '../cause-of.ts';
import { nodesOf } from '../profile-text.ts';
import { Situation } from '../recognise/situation.ts';
import { changed, type Source } from './apply.ts';
import { clusterIP, otherSide, published, servingNode } from './candidates/dial.ts';
import { clientElsewhere, podOnNode } from './candidates/placement.ts';
import { localDetector, masqueradeAll, otherMode, otherVersion } from './candidates/profile.ts';
import { withoutRule } from './candidates/rule.ts';
import {
  directPods,
  nearestSelector,
  notCaptured,
  ownBalancer,
  policyCluster,
  servedPort,
  wideRanges,
} from './candidates/service.ts';
import type { Attempt, Candidate, Fix, Patch } from './fix.ts';

export type { Fix, ObjectPatch, Patch } from './fix.ts';

/** What costs least stands first. */
const CANDIDATES: readonly Candidate[] = [
  withoutRule,
  clusterIP,
  otherSide,
  servedPort,
  servingNode,
  published,
  nearestSelector,
  policyCluster,
  directPods,
  notCaptured,
  ownBalancer,
  wideRanges,
  clientElsewhere,
  podOnNode,
  masqueradeAll,
  localDetector,
  otherVersion,
  otherMode,
];

/**
 * What helps; nothing where the connection is as it should be.
 * @param inventory what the cluster was built from
 */
export function fixesFor(cluster: Cluster, inventory: Inventory, request: WalkRequest): Fix[] {
  const source = { inventory, profile: cluster.profile };
  const before = walk(cluster.world, request);
  const failing = before.filter((outcome) => !isGood(cluster, request, outcome));
  if (failing.length === 0) return [];
  const attempts = new Map<string, Attempt>();
  for (const outcome of failing) {
    const situation = new Situation(cluster, request, outcome);
    for (const attempt of CANDIDATES.flatMap((candidate) => [...candidate(situation)])) {
      const key = JSON.stringify(attempt.patch);
      if (!attempts.has(key)) attempts.set(key, attempt);
    }
  }
  const score = goodShare(cluster, request, before);
  return [...attempts.values()]
    .flatMap((attempt) => tried(cluster, source, request, attempt, score))
    .sort((a, b) => rank(a) - rank(b));
}

const rank = ({ verdictAfter, costs }: Fix): number =>
  (verdictAfter === 'reached' ? 0 : 2) + (costs.length === 0 ? 0 : 1);

/** Walks the copy; nothing if it is no better, or cannot exist. */
function tried(
  before: Cluster,
  source: Source,
  request: WalkRequest,
  attempt: Attempt,
  score: number,
): Fix[] {
  const asked = attempt.request ?? request;
  try {
    const cluster = copyOf(before, source, attempt);
    if (cluster === undefined) return [];
    const after = walk(cluster.world, asked);
    if (after.some(({ verdict }) => verdict === 'unknown')) return [];
    if (goodShare(cluster, asked, after) <= score) return [];
    const { title, patch } = attempt;
    const command = commandFor(patch);
    return [
      {
        title,
        patch,
        verdictAfter: verdictOf(after),
        costs: [...attempt.costs, ...sourceCost(cluster, asked, after, attempt)],
        ...(command === undefined ? {} : { command }),
      },
    ];
  } catch (error) {
    // A profile whose ranges contradict each other, or a mode that is not compiled, is no cure.
    if (error instanceof Fault) return [];
    throw error;
  }
}

/**
 * The cluster with the attempt's changes. What a node has loaded does not follow from objects or the profile, so of nodes that
 * were read nothing can be tried but another address, or the same without a rule.
 */
function copyOf(cluster: Cluster, source: Source, attempt: Attempt): Cluster | undefined {
  const { world = cluster.world, patch, stands } = attempt;
  if ('rule' in patch) return { ...cluster, world };
  if (nodesOf(cluster.world) === undefined) {
    const { inventory, profile } = changed(source, attempt);
    return clusterFrom(inventory, profile);
  }
  return 'dial' in patch && stands === undefined ? cluster : undefined;
}

/** How likely the connection is to come out as meant. */
const goodShare = (cluster: Cluster, request: WalkRequest, outcomes: readonly Outcome[]): number =>
  outcomes
    .filter((outcome) => isGood(cluster, request, outcome))
    .reduce((sum, { probability }) => sum + probability, 0);

/** Reached, and not a process in another's place. */
const isGood = (cluster: Cluster, request: WalkRequest, outcome: Outcome): boolean =>
  outcome.verdict === 'reached' && causeOf(cluster, request, outcome)?.code !== 'FL012';

function verdictOf(outcomes: readonly Outcome[]): Fix['verdictAfter'] {
  const [only, ...more] = new Set(outcomes.map(({ verdict }) => verdict));
  return only === undefined || more.length > 0 ? 'mixed' : only;
}

/** What the pod sees then, where that is not the client and the attempt has not said so. */
function sourceCost(
  cluster: Cluster,
  request: WalkRequest,
  outcomes: readonly Outcome[],
  { patch }: Attempt,
): string[] {
  if ('dial' in patch) return [];
  const seen = outcomes
    .filter((outcome) => outcome.verdict === 'reached')
    .filter((outcome) => isStrange(new Situation(cluster, request, outcome)))
    .flatMap(({ sourceSeen }) => sourceSeen?.text ?? []);
  return seen.length === 0 ? [] : [`the pod sees this client as ${[...new Set(seen)].join(' or ')}`];
}

/** A source that is neither the client's nor one its own node gives it on the way out. */
function isStrange({ keepsSource, clientNode, cluster, outcome }: Situation): boolean {
  const node = clientNode === undefined ? undefined : cluster.world.hosts.get(clientNode);
  const own = node?.interfaces.flatMap(({ addresses }) => addresses.map(({ addr }) => addr)) ?? [];
  return !keepsSource && !own.some(({ text }) => text === outcome.sourceSeen?.text);
}

/** What kubectl patches in place; a pod is made anew by who made it. */
const PATCHED = /^(service|deployment|statefulset)\//;

function commandFor(patch: Patch): string | undefined {
  if ('rule' in patch) return patch.rule.command;
  if (!('objects' in patch)) return undefined;
  const [only, ...more] = patch.objects;
  if (only === undefined || more.length > 0 || !PATCHED.test(only.object)) return undefined;
  const [kind, namespace, name] = only.object.split('/');
  const parts = Object.keys(only.merge);
  // The status is a subresource of its own: one command writes it or the rest.
  if (parts.includes('status') && parts.length > 1) return undefined;
  const subresource = parts.includes('status') ? ' --subresource status' : '';
  return `kubectl patch ${kind} ${name} -n ${namespace} --type merge${subresource} -p '${JSON.stringify(only.merge)}'`;
}
