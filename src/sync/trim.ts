import type { EndpointSlice, ObjectMeta, Service, SliceEndpoint } from '../kube/objects.ts';
import { PROXY_NAME_LABEL, SERVICE_NAME_LABEL, SOURCE_RANGES_ANNOTATION } from '../proxy/proxy.ts';
import { TRIGGER_TIME } from './planner.ts';

/**
 * What the proxy keeps of the objects it watches: what its plans are made from, what tells two states of an object apart,
 * and what Events name it by. In a cluster of ten thousand Services the rest (who manages which field, selectors, the pods'
 * names) is most of the memory.
 */
export function trimService(service: Service): Service {
  const loadBalancer = service.status?.loadBalancer;
  const spec = { ...service.spec };
  delete spec.selector;
  return {
    metadata: trimMetadata(service.metadata ?? {}, [PROXY_NAME_LABEL], [SOURCE_RANGES_ANNOTATION]),
    spec,
    ...(loadBalancer?.ingress === undefined ? {} : { status: { loadBalancer } }),
  };
}

/** Endpoints on one node share its name, and those in one state its conditions: each trimmer remembers which there are. */
export function sliceTrimmer(): (slice: EndpointSlice) => EndpointSlice {
  const nodes = new Map<string, string>();
  const states = new Map<string, NonNullable<SliceEndpoint['conditions']>>();
  const trimEndpoint = ({ addresses, conditions = {}, nodeName, hints }: SliceEndpoint): SliceEndpoint => ({
    addresses: addresses.slice(0, 1),
    conditions: shared(states, JSON.stringify(conditions), conditions),
    ...(nodeName === undefined ? {} : { nodeName: shared(nodes, nodeName, nodeName) }),
    ...(hints === undefined ? {} : { hints }),
  });
  return ({ metadata = {}, addressType, ports, endpoints }) => ({
    metadata: trimMetadata(metadata, [SERVICE_NAME_LABEL], [TRIGGER_TIME]),
    addressType,
    ...(ports === undefined ? {} : { ports }),
    endpoints: endpoints.map(trimEndpoint),
  });
}

function shared<T>(known: Map<string, T>, key: string, value: T): T {
  const first = known.get(key) ?? value;
  known.set(key, first);
  return first;
}

function trimMetadata(
  { name, namespace, uid, resourceVersion, labels, annotations }: ObjectMeta,
  labelNames: readonly string[],
  annotationNames: readonly string[],
): ObjectMeta {
  return {
    ...(name === undefined ? {} : { name }),
    ...(namespace === undefined ? {} : { namespace }),
    ...(uid === undefined ? {} : { uid }),
    ...(resourceVersion === undefined ? {} : { resourceVersion }),
    ...only('labels', labels, labelNames),
    ...only('annotations', annotations, annotationNames),
  };
}

function only<K extends string>(
  field: K,
  all: Readonly<Record<string, string>> | undefined,
  names: readonly string[],
): { [key in K]?: Record<string, string> } {
  const kept = Object.entries(all ?? {}).filter(([name]) => names.includes(name));
  return kept.length === 0
    ? {}
    : ({ [field]: Object.fromEntries(kept) } as { [key in K]?: Record<string, string> });
}
