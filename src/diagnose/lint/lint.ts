/**
 * Lint: what is risky in manifests, found without a cluster.
 *
 * Promises: every finding bears a code of the registry, the object, file and line, what is wrong with the names of this
 * case, and what to do. The order is that of files, lines and codes. A rule that lacks a fact says nothing: without nodes
 * nobody can tell which of them lack a pod, and without pods or templates nobody can tell what a selector misses.
 * Refuses: to validate. What the API server would refuse by its schema is the API server's to say.
 *
 * @example
 * const manifests = parseManifests('svc.yaml', text);
 * lint(manifests, profileOf({ cloud: 'cce', proxyMode: 'ipvs' })).map(({ code, place }) => `${place} ${code}`);
 */
import type { Manifest } from '../../world/from-objects/manifests.ts';
import type { ClusterProfile } from '../../world/profile.ts';
import type { Finding, LintRule } from './finding.ts';
import { LintSet } from './lint-set.ts';
import { idAndAutocreate, passThroughDiffers, portRanges, sharedWithIngress } from './rules/balancers.ts';
import { affinityBehindBalancer, bypassedListener, hostnameStatus } from './rules/capture.ts';
import {
  noReadyEndpoints,
  selectorMatchesNothing,
  sourceRanges,
  undeclaredTargetPort,
} from './rules/endpoints.ts';
import { fewNodesMasquerade, needlessNodePort } from './rules/masquerade.ts';
import { ipvsDeprecated } from './rules/mode.ts';
import {
  balancerLoopback,
  hostNetworkClients,
  internalWithoutEndpoints,
  localWithoutEndpoints,
  localWithoutNodePorts,
  unevenShares,
} from './rules/policy.ts';
import { nodePortCollisions, nodePortOutOfRange } from './rules/ports.ts';

export type { Finding, Severity } from './finding.ts';

const RULES: readonly LintRule[] = [
  localWithoutEndpoints,
  internalWithoutEndpoints,
  balancerLoopback,
  sharedWithIngress,
  portRanges,
  hostnameStatus,
  bypassedListener,
  hostNetworkClients,
  passThroughDiffers,
  noReadyEndpoints,
  selectorMatchesNothing,
  undeclaredTargetPort,
  sourceRanges,
  unevenShares,
  fewNodesMasquerade,
  needlessNodePort,
  affinityBehindBalancer,
  nodePortOutOfRange,
  nodePortCollisions,
  idAndAutocreate,
  ipvsDeprecated,
  localWithoutNodePorts,
];

/**
 * @param profile what the cluster is, if known; rules that go by the proxy mode take an unknown one for any
 */
export function lint(manifests: readonly Manifest[], profile?: ClusterProfile): Finding[] {
  const set = new LintSet(manifests, profile);
  return RULES.flatMap((rule) => [...rule(set)]).sort(byPlace);
}

function byPlace(a: Finding, b: Finding): number {
  const [fileA, lineA] = splitPlace(a.place);
  const [fileB, lineB] = splitPlace(b.place);
  if (fileA !== fileB) return fileA < fileB ? -1 : 1;
  return lineA - lineB || (a.code < b.code ? -1 : 1);
}

/** File and line of a `file:line`. */
export function splitPlace(place: string): readonly [string, number] {
  const colon = place.lastIndexOf(':');
  return colon < 0 ? [place, 0] : [place.slice(0, colon), Number(place.slice(colon + 1))];
}
