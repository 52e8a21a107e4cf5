import { ApiError, type KubeClient } from '../client/client.ts';
import type { ConfigMap } from '../kube/objects.ts';
import { RESOURCES } from '../kube/resources.ts';
import { type ClusterProfile, specOf } from '../world/profile.ts';

/** The ConfigMap in which a cluster of ours says what it is, as a ClusterProfile. */
export const PROFILE_NOTE = {
  namespace: 'kube-system',
  name: 'fairlead-profile',
  key: 'profile.yaml',
} as const;

/** Writes the note, over that of an earlier start with another profile. */
export async function writeProfileNote(client: KubeClient, profile: ClusterProfile): Promise<void> {
  const { namespace, name, key } = PROFILE_NOTE;
  const document = {
    apiVersion: 'fairlead.dev/v1alpha1',
    kind: 'ClusterProfile',
    metadata: { name: profile.name },
    spec: specOf(profile),
  };
  // JSON is YAML, and needs no printer here.
  const data = { [key]: JSON.stringify(document, null, 2) };
  try {
    await client.patch<ConfigMap>(RESOURCES.configmaps, { name, namespace }, 'merge', { data });
  } catch (error) {
    if (!ApiError.is(error, 'NotFound')) throw error;
    await client.create<ConfigMap>(RESOURCES.configmaps, { metadata: { name, namespace }, data }, namespace);
  }
}
