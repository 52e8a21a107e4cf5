/**
 * Discovery: what the server serves, in the old form (a request a group) and the aggregated one (apidiscovery.k8s.io v2 and
 * v2beta1, KEP-3352), which kubectl asks for first.
 */
import { ALL_RESOURCES, type Resource } from '../../kube/resources.ts';
import type { Form, Wanted } from '../negotiate.ts';
import { REVIEWS, type Review } from '../subresources/reviews.ts';

export const AGGREGATED: readonly Form[] = ['v2', 'v2beta1'].map((version) => ({
  as: 'APIGroupDiscoveryList',
  group: 'apidiscovery.k8s.io',
  version,
}));

const VERBS = ['create', 'delete', 'deletecollection', 'get', 'list', 'patch', 'update', 'watch'];

interface Subresource {
  readonly kind: string;
  readonly verbs: readonly string[];
  /** Where the kind is not of its resource's group. */
  readonly group?: string;
}

const SUBRESOURCES: Readonly<Record<string, Subresource>> = {
  finalize: { kind: 'Namespace', verbs: ['update'] },
  log: { kind: 'Pod', verbs: ['get'] },
  exec: { kind: 'PodExecOptions', verbs: ['create', 'get'] },
  attach: { kind: 'PodAttachOptions', verbs: ['create', 'get'] },
  portforward: { kind: 'PodPortForwardOptions', verbs: ['create', 'get'] },
  proxy: { kind: 'NodeProxyOptions', verbs: ['get'] },
  binding: { kind: 'Binding', verbs: ['create'] },
  eviction: { kind: 'Eviction', verbs: ['create'], group: 'policy' },
  scale: { kind: 'Scale', verbs: ['get', 'patch', 'update'], group: 'autoscaling' },
  token: { kind: 'TokenRequest', verbs: ['create'], group: 'authentication.k8s.io' },
};

/** Subresources that are named in the resource table and not served. */
const UNSERVED: ReadonlySet<string> = new Set(['ephemeralcontainers']);

const subresourcesOf = (resource: Resource): [string, Subresource][] =>
  resource.subresources
    .filter((name) => !UNSERVED.has(name))
    .map((name) => [name, SUBRESOURCES[name] ?? { kind: resource.kind, verbs: ['get', 'patch', 'update'] }]);

const GROUPS = [
  ...new Set([...ALL_RESOURCES.map(({ group }) => group), ...REVIEWS.map(({ group }) => group)]),
];

const resourcesIn = (group: string) => ALL_RESOURCES.filter((one) => one.group === group);
const reviewsIn = (group: string) => REVIEWS.filter((one) => one.group === group);

/**
 * kubectl looks for a kind that discovery does not name among the custom ones, and takes a 404 there for a broken server
 * instead of a wrong kind. There are none.
 */
const CUSTOM_KINDS = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';
const NO_CUSTOM_KINDS = {
  kind: 'CustomResourceDefinitionList',
  apiVersion: 'apiextensions.k8s.io/v1',
  metadata: {},
  items: [],
};

/** The answer to a discovery path, or undefined if the path is none. `address` is what clients dial. */
export function discoveryAt(path: string, wanted: Wanted, address: string): object | undefined {
  if (path === '/api') return wanted.as === undefined ? coreVersions(address) : aggregated([''], wanted);
  const named = GROUPS.filter((group) => group !== '');
  if (path === '/apis') return wanted.as === undefined ? groupList(named) : aggregated(named, wanted);
  if (path === '/api/v1') return resourceList('');
  if (path === CUSTOM_KINDS) return NO_CUSTOM_KINDS;
  const [, root, group = '', version, ...rest] = path.split('/');
  if (root !== 'apis' || !named.includes(group) || rest.length > 0) return undefined;
  if (version === undefined) return { kind: 'APIGroup', apiVersion: 'v1', ...groupOf(group) };
  return version === 'v1' ? resourceList(group) : undefined;
}

const coreVersions = (serverAddress: string) => ({
  kind: 'APIVersions',
  versions: ['v1'],
  serverAddressByClientCIDRs: [{ clientCIDR: '0.0.0.0/0', serverAddress }],
});

const groupList = (groups: readonly string[]) => ({
  kind: 'APIGroupList',
  apiVersion: 'v1',
  groups: groups.map(groupOf),
});

function groupOf(name: string) {
  const version = { groupVersion: `${name}/v1`, version: 'v1' };
  return { name, versions: [version], preferredVersion: version };
}

function resourceList(group: string) {
  const groupVersion = group === '' ? 'v1' : `${group}/v1`;
  const resources = [...resourcesIn(group).flatMap(apiResources), ...reviewsIn(group).map(apiReview)];
  return { kind: 'APIResourceList', apiVersion: 'v1', groupVersion, resources };
}

function apiResources(resource: Resource) {
  const { plural, singular, namespaced, kind, shortNames, categories } = resource;
  return [
    {
      name: plural,
      singularName: singular,
      namespaced,
      kind,
      verbs: VERBS,
      ...(shortNames.length === 0 ? {} : { shortNames }),
      ...(categories.length === 0 ? {} : { categories }),
    },
    ...subresourcesOf(resource).map(([name, sub]) => ({
      name: `${plural}/${name}`,
      singularName: '',
      namespaced,
      ...(sub.group === undefined ? {} : { group: sub.group, version: 'v1' }),
      kind: sub.kind,
      verbs: sub.verbs,
    })),
  ];
}

const apiReview = ({ plural, kind }: Review) => ({
  name: plural,
  singularName: kind.toLowerCase(),
  namespaced: false,
  kind,
  verbs: ['create'],
});

function aggregated(groups: readonly string[], { version }: Wanted) {
  return {
    kind: 'APIGroupDiscoveryList',
    apiVersion: `apidiscovery.k8s.io/${version}`,
    metadata: {},
    items: groups.map((group) => ({
      metadata: { ...(group === '' ? {} : { name: group }), creationTimestamp: null },
      versions: [
        {
          version: 'v1',
          resources: [
            ...resourcesIn(group).map(discoveredResource),
            ...reviewsIn(group).map(discoveredReview),
          ],
          freshness: 'Current',
        },
      ],
    })),
  };
}

function discoveredResource(resource: Resource) {
  const { group, version, kind, plural, singular, namespaced, shortNames, categories } = resource;
  return {
    resource: plural,
    responseKind: { group, version, kind },
    scope: namespaced ? 'Namespaced' : 'Cluster',
    singularResource: singular,
    verbs: VERBS,
    ...(shortNames.length === 0 ? {} : { shortNames }),
    ...(categories.length === 0 ? {} : { categories }),
    subresources: subresourcesOf(resource).map(([subresource, sub]) => ({
      subresource,
      responseKind: { group: sub.group ?? group, version: 'v1', kind: sub.kind },
      verbs: sub.verbs,
    })),
  };
}

const discoveredReview = ({ plural, kind, group }: Review) => ({
  resource: plural,
  responseKind: { group, version: 'v1', kind },
  scope: 'Cluster',
  singularResource: kind.toLowerCase(),
  verbs: ['create'],
});
