import type { ObjectFieldSelector } from 'kubernetes-types/core/v1.js';
import type { Pod } from '../../kube/objects.ts';
import { NotYet } from './sources.ts';

/** What a pod may be told of itself: core/v1 fieldRef, as environment variable or file of a downwardAPI volume. */
export interface PodFacts {
  readonly pod: Pod;
  readonly podIP: string;
  readonly hostIP: string;
  readonly nodeName: string;
}

/** The value of a field. Throws {@link NotYet} for a path upstream does not know either. */
export function fieldOf(selector: ObjectFieldSelector, facts: PodFacts): string {
  const { pod } = facts;
  const meta = pod.metadata ?? {};
  const keyed = /^metadata\.(labels|annotations)\['([^']*)'\]$/.exec(selector.fieldPath);
  if (keyed !== null) return meta[keyed[1] === 'labels' ? 'labels' : 'annotations']?.[keyed[2] ?? ''] ?? '';
  switch (selector.fieldPath) {
    case 'metadata.name':
      return meta.name ?? '';
    case 'metadata.namespace':
      return meta.namespace ?? '';
    case 'metadata.uid':
      return meta.uid ?? '';
    case 'metadata.labels':
      return lines(meta.labels);
    case 'metadata.annotations':
      return lines(meta.annotations);
    case 'spec.nodeName':
      return facts.nodeName;
    case 'spec.serviceAccountName':
      return pod.spec?.serviceAccountName ?? 'default';
    case 'status.podIP':
    case 'status.podIPs':
      return facts.podIP;
    case 'status.hostIP':
    case 'status.hostIPs':
      return facts.hostIP;
    default:
      throw new NotYet('CreateContainerConfigError', `unsupported fieldPath: ${selector.fieldPath}`);
  }
}

const lines = (map: Readonly<Record<string, string>> | undefined) =>
  Object.entries(map ?? {})
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]) => `${key}=${JSON.stringify(value)}`)
    .join('\n');
