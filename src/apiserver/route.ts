import { ALL_RESOURCES, type Resource } from '../kube/resources.ts';

/** The path of a resource, an object or a subresource (upstream's RequestInfo). */
export interface ResourceRoute {
  readonly resource: Resource;
  readonly namespace: string | undefined;
  readonly name: string | undefined;
  readonly subresource: string | undefined;
  /** What follows `proxy`, in the words of whoever is proxied to: `/healthz`. */
  readonly below?: string;
}

const byPath = new Map(ALL_RESOURCES.map((one) => [`${one.group}/${one.version}/${one.plural}`, one]));

/** The route of `/api/v1/…` and `/apis/GROUP/VERSION/…`; undefined if no resource of ours is there. */
export function routeOf(path: string): ResourceRoute | undefined {
  const segments = path.split('/').filter((segment) => segment !== '');
  const [root, ...rest] = segments;
  const group = root === 'api' ? '' : root === 'apis' ? rest.shift() : undefined;
  const version = rest.shift();
  if (group === undefined || version === undefined) return undefined;
  const decoded = decodeAll(rest);
  return decoded === undefined ? undefined : routeWithin(`${group}/${version}`, decoded);
}

function routeWithin(groupVersion: string, rest: readonly string[]): ResourceRoute | undefined {
  const [first, second, third] = rest;
  const scoped = third === undefined ? undefined : byPath.get(`${groupVersion}/${third}`);
  // `namespaces/NAME/status` is an object's subresource; `namespaces/NAME/pods` a collection.
  if (first === 'namespaces' && scoped?.namespaced) return routeTo(scoped, second, rest.slice(3));
  const resource = first === undefined ? undefined : byPath.get(`${groupVersion}/${first}`);
  if (resource === undefined) return undefined;
  const route = routeTo(resource, undefined, rest.slice(1));
  const needsNamespace = resource.namespaced && route?.name !== undefined;
  return needsNamespace ? undefined : route;
}

function routeTo(
  resource: Resource,
  namespace: string | undefined,
  rest: readonly string[],
): ResourceRoute | undefined {
  const [name, subresource, ...more] = rest;
  if (subresource !== undefined && !resource.subresources.includes(subresource)) return undefined;
  if (subresource === 'proxy') return { resource, namespace, name, subresource, below: pathOfSegments(more) };
  if (more.length > 0) return undefined;
  return { resource, namespace, name, subresource };
}

const pathOfSegments = (segments: readonly string[]): string =>
  segments.map((segment) => `/${encodeURIComponent(segment)}`).join('') || '/';

function decodeAll(segments: readonly string[]): string[] | undefined {
  try {
    return segments.map(decodeURIComponent);
  } catch (error) {
    if (error instanceof URIError) return undefined;
    throw error;
  }
}
