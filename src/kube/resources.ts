/**
 * The resources Fairlead serves and reads: group, version, names, scope and subresources. One table; discovery, paths,
 * clients and controllers all read it.
 */
export interface Resource {
  /** The API group; the empty string is the core group. */
  readonly group: string;
  readonly version: string;
  readonly kind: string;
  /** Plural, lower case: the path segment. */
  readonly plural: string;
  readonly singular: string;
  readonly shortNames: readonly string[];
  readonly categories: readonly string[];
  readonly namespaced: boolean;
  readonly subresources: readonly string[];
}

const resource = (
  group: string,
  kind: string,
  plural: string,
  shortNames: readonly string[],
  rest: { readonly cluster?: true; readonly all?: true; readonly sub?: readonly string[] } = {},
): Resource => ({
  group,
  version: 'v1',
  kind,
  plural,
  singular: kind.toLowerCase(),
  shortNames,
  categories: rest.all ? ['all'] : [],
  namespaced: !rest.cluster,
  subresources: rest.sub ?? [],
});

export const RESOURCES = {
  namespaces: resource('', 'Namespace', 'namespaces', ['ns'], { cluster: true, sub: ['status', 'finalize'] }),
  nodes: resource('', 'Node', 'nodes', ['no'], { cluster: true, sub: ['status', 'proxy'] }),
  pods: resource('', 'Pod', 'pods', ['po'], {
    all: true,
    sub: ['status', 'log', 'exec', 'attach', 'portforward', 'binding', 'eviction', 'ephemeralcontainers'],
  }),
  services: resource('', 'Service', 'services', ['svc'], { all: true, sub: ['status'] }),
  endpoints: resource('', 'Endpoints', 'endpoints', ['ep']),
  events: resource('', 'Event', 'events', ['ev']),
  configmaps: resource('', 'ConfigMap', 'configmaps', ['cm']),
  secrets: resource('', 'Secret', 'secrets', []),
  serviceaccounts: resource('', 'ServiceAccount', 'serviceaccounts', ['sa'], { sub: ['token'] }),
  leases: resource('coordination.k8s.io', 'Lease', 'leases', []),
  deployments: resource('apps', 'Deployment', 'deployments', ['deploy'], {
    all: true,
    sub: ['status', 'scale'],
  }),
  replicasets: resource('apps', 'ReplicaSet', 'replicasets', ['rs'], { all: true, sub: ['status', 'scale'] }),
  statefulsets: resource('apps', 'StatefulSet', 'statefulsets', ['sts'], {
    all: true,
    sub: ['status', 'scale'],
  }),
  controllerrevisions: resource('apps', 'ControllerRevision', 'controllerrevisions', []),
  endpointslices: resource('discovery.k8s.io', 'EndpointSlice', 'endpointslices', []),
} as const satisfies Record<string, Resource>;

export type ResourceName = keyof typeof RESOURCES;

export const ALL_RESOURCES: readonly Resource[] = Object.values(RESOURCES);

/** `v1` or `apps/v1`. */
export const apiVersionOf = (resource: Resource): string =>
  resource.group === '' ? resource.version : `${resource.group}/${resource.version}`;

/** The URL path of a collection or an object, e.g. `/apis/apps/v1/namespaces/default/deployments/nginx`. */
export function pathOf(resource: Resource, namespace?: string, name?: string, subresource?: string): string {
  const root =
    resource.group === '' ? `/api/${resource.version}` : `/apis/${resource.group}/${resource.version}`;
  const scope =
    resource.namespaced && namespace !== undefined ? `/namespaces/${encodeURIComponent(namespace)}` : '';
  const object = name === undefined ? '' : `/${encodeURIComponent(name)}`;
  const sub = subresource === undefined ? '' : `/${subresource}`;
  return `${root}${scope}/${resource.plural}${object}${sub}`;
}

/** The resource of a manifest's apiVersion and kind, or undefined if it is not served. */
export function resourceOf(apiVersion: string, kind: string): Resource | undefined {
  return ALL_RESOURCES.find((one) => one.kind === kind && apiVersionOf(one) === apiVersion);
}
