/** Which pods a Service selects, and which Services a change of a pod concerns. */
import { keyOf, type Pod, type Service } from '../../kube/objects.ts';
import { hasSelector } from '../../kube/service-endpoints.ts';
import { BY_LABEL, BY_NAMESPACE, type Informers } from '../context.ts';
import { isDeleting, labelPair, nameOf, namespaceOf } from '../metadata.ts';
import { isFinished, isReady } from '../pods.ts';
import { sameJson } from '../same-json.ts';
import { isSubset } from '../selector.ts';

/** In the order of their names, so that the same pods always give the same endpoints. */
export function podsOf(informers: Informers, service: Service): Pod[] {
  const selector = service.spec?.selector ?? {};
  const [first] = Object.entries(selector);
  if (first === undefined) return [];
  return informers.pods
    .lookup(BY_LABEL, labelPair(namespaceOf(service), first))
    .filter((pod) => isSubset(selector, pod.metadata?.labels ?? {}))
    .toSorted((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1));
}

/** Calls `add` with the key of each Service whose endpoints the watch's events may change. */
export function followServices(informers: Informers, add: (key: string) => void): void {
  const services = (pod: Pod): Service[] =>
    informers.services
      .lookup(BY_NAMESPACE, namespaceOf(pod))
      .filter((one) => hasSelector(one) && isSubset(one.spec?.selector ?? {}, pod.metadata?.labels ?? {}));
  const wake = (pod: Pod) => {
    for (const service of services(pod)) add(keyOf(service));
  };
  informers.services.subscribe({
    added: (service) => add(keyOf(service)),
    updated: (service) => add(keyOf(service)),
    deleted: (service) => add(keyOf(service)),
  });
  informers.pods.subscribe({
    added: wake,
    deleted: wake,
    updated: (pod, old) => {
      if (sameJson(factsOf(pod), factsOf(old))) return;
      wake(pod);
      if (!sameJson(pod.metadata?.labels, old.metadata?.labels)) wake(old);
    },
  });
}

/** All of a pod that its endpoints tell. */
const factsOf = (pod: Pod) => [
  pod.metadata?.uid,
  pod.metadata?.labels,
  pod.status?.podIP,
  pod.status?.podIPs,
  pod.spec?.nodeName,
  pod.spec?.hostname,
  pod.spec?.subdomain,
  isReady(pod),
  isDeleting(pod),
  isFinished(pod),
];
