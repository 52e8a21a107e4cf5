import { type ClusterProfile, versionText } from '../world/profile.ts';
import { hostsOf, type World } from '../world/world.ts';

/** Which nodes were read and which were compiled; nothing where none was read. */
export function nodesOf(world: World): { readonly read: string[]; readonly assumed: string[] } | undefined {
  const nodes = hostsOf(world, 'node');
  const names = (isRead: boolean) =>
    nodes.filter(({ readFrom }) => (readFrom !== undefined) === isRead).map(({ name }) => name);
  return names(true).length === 0 ? undefined : { read: names(true), assumed: names(false) };
}

/** The same in one line; none where no node was read. */
export function nodesText(world: World): string[] {
  const nodes = nodesOf(world);
  if (nodes === undefined) return [];
  const assumed = nodes.assumed.length === 0 ? 'none' : nodes.assumed.join(', ');
  return [`nodes read: ${nodes.read.join(', ')}; assumed by the profile: ${assumed}`];
}

/** What was taken for granted, a line each. */
export const assumptionsText = (assumptions: readonly string[]): string[] =>
  assumptions.map((each) => `assumed: ${each}`);

/** The cluster an answer is about, in one line. */
export function profileText({ cloud, network, proxyMode, kubernetesVersion }: ClusterProfile): string {
  return `${cloud}, network ${network}, kube-proxy ${proxyMode}, Kubernetes ${versionText(kubernetesVersion)}`;
}
