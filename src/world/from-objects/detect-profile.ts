import { nameOf } from '../../kube/objects.ts';
import { type Cloud, type ClusterProfile, type ProfileSpec, specOf } from '../profile.ts';
import { detectKubeProxy } from './detect-kube-proxy.ts';
import { detectNetwork } from './detect-network.ts';
import type { ClusterSigns, Reading, Readings } from './signs.ts';

export type { ClusterSigns, DaemonSet } from './signs.ts';

/** A field of the profile of a running cluster, and how its value came about. */
export interface FieldOrigin {
  readonly field: keyof ProfileSpec;
  readonly value: string;
  readonly how: 'given' | 'detected' | 'assumed';
  /** Who says it, the object it was read from, or why it is taken to be so. */
  readonly from: string;
}

/** The profile as far as the cluster tells it; {@link specOfReadings} for the values alone. */
export function detectProfile(signs: ClusterSigns): Readings {
  return {
    ...detectCloud(signs),
    ...detectVersion(signs),
    ...detectNetwork(signs),
    ...detectKubeProxy(signs),
  };
}

export const specOfReadings = (readings: Readings): ProfileSpec =>
  Object.fromEntries(Object.entries(readings).map(([field, { value }]) => [field, value]));

/**
 * How each field of the profile that was chosen came about, in the order of the profile.
 * @param given fields that files or the command line say, and where
 */
export function originsOf(
  profile: ClusterProfile,
  readings: Readings,
  given: ReadonlyMap<string, string>,
): FieldOrigin[] {
  return Object.entries(specOf(profile)).map(([key, value]): FieldOrigin => {
    const field = key as keyof ProfileSpec;
    const shown = { field, value: String(value) };
    const by = given.get(field);
    if (by !== undefined) return { ...shown, how: 'given', from: by };
    const read: Reading | undefined = readings[field];
    if (read === undefined) return { ...shown, how: 'assumed', from: assumption(field, profile) };
    const { from, walkedAs } = read;
    return {
      ...shown,
      how: 'detected',
      from: walkedAs === undefined ? from : `${from}; walked as ${walkedAs}`,
    };
  });
}

/** Why a field has its value where nothing tells. */
function assumption(field: keyof ProfileSpec, { cloud }: ClusterProfile): string {
  switch (field) {
    case 'cloud':
      return 'no node bears a sign of a cloud that is known';
    case 'podCIDR':
    case 'serviceCIDR':
    case 'vpcCIDR':
      return 'a range that holds the addresses there are';
    case 'ipFamilies':
      return "the families of the nodes' addresses";
    case 'serviceProxy':
      return 'nothing is seen to take its place';
    default:
      return `what ${cloud} has unless told otherwise`;
  }
}

/** Of provider ids and labels of nodes: whose cloud it is. */
const CLOUDS_BY_SIGN: readonly (readonly [RegExp, Cloud])[] = [
  [/^(alicloud:|[a-z]+-[a-z]+(-\d+)?\.i-)|alibabacloud\.com\//, 'ack'],
  [/^qcloud:|cloud\.tencent\.com\//, 'tke'],
  [/cce\.cloud\.com\/|^huaweicloud:/, 'cce'],
];

function detectCloud({ nodes }: ClusterSigns): Readings {
  for (const [pattern, value] of CLOUDS_BY_SIGN) {
    for (const node of nodes) {
      const { providerID = '' } = node.spec ?? {};
      const label = Object.keys(node.metadata?.labels ?? {}).find((key) => pattern.test(key));
      const from = pattern.test(providerID) ? `spec.providerID ${providerID}` : label && `label ${label}`;
      if (from !== undefined) return { cloud: { value, from: `Node ${nameOf(node)}, ${from}` } };
    }
  }
  return {};
}

/** kube-proxy is of the kubelet's version on most clusters; the API server's where no node says one. */
function detectVersion({ nodes, gitVersion }: ClusterSigns): Readings {
  const versions = nodes.flatMap((node) => {
    const version = /^v?(\d+\.\d+)/.exec(node.status?.nodeInfo?.kubeletVersion ?? '')?.[1];
    return version === undefined ? [] : [[version, nameOf(node)] as const];
  });
  const counts = [...Map.groupBy(versions, ([version]) => version)];
  const [most, ...others] = counts.sort(([, a], [, b]) => b.length - a.length);
  if (most === undefined) {
    const version = /^v?(\d+\.\d+)/.exec(gitVersion)?.[1];
    return version === undefined
      ? {}
      : { kubernetesVersion: { value: version, from: '/version of the API server' } };
  }
  const [value, [first, ...rest]] = most;
  const who = rest.length === 0 ? `Node ${first?.[1]}` : `Nodes ${first?.[1]} and ${rest.length} more`;
  const mixed = others.map(([version, some]) => `; ${some.length} run ${version}`).join('');
  return { kubernetesVersion: { value, from: `${who}, kubeletVersion${mixed}` } };
}
