import type { Informer, KubeClient } from '../client/client.ts';
import { createInformer } from '../client/informer.ts';
import type { Log } from '../fault/log.ts';
import type { EndpointSlice, KubeObject, Namespace, Service } from '../kube/objects.ts';
import { RESOURCES, type Resource } from '../kube/resources.ts';
import type { Zone } from './zone.ts';

/** How a kind of object changes the zone. */
interface Keeping<T extends KubeObject> {
  set(object: T): void;
  remove(object: T): void;
}

/** Keeps the zone as the API server has it, until stopped. `synced` rejects when it is stopped before. */
export function keepZone(
  zone: Zone,
  client: KubeClient,
  now: () => number,
  log: Log,
): { readonly synced: Promise<void>; stop(): void } {
  const keep = <T extends KubeObject>(resource: Resource, keeping: Keeping<T>): Informer<T> => {
    const informer = createInformer<T>(client, resource, { log });
    const changed = (change: () => void) => {
      change();
      // Unix time, as CoreDNS; two changes in a second still count up.
      zone.serial = Math.max(zone.serial + 1, Math.floor(now() / 1000)) % 2 ** 32;
    };
    informer.subscribe({
      added: (object) => changed(() => keeping.set(object)),
      updated: (object, old) =>
        changed(() => {
          keeping.remove(old);
          keeping.set(object);
        }),
      deleted: (object) => changed(() => keeping.remove(object)),
    });
    return informer;
  };
  const informers = [
    keep<Namespace>(RESOURCES.namespaces, {
      set: (namespace) => zone.setNamespace(namespace.metadata?.name ?? ''),
      remove: (namespace) => zone.removeNamespace(namespace.metadata?.name ?? ''),
    }),
    keep<Service>(RESOURCES.services, {
      set: (service) => zone.setService(service),
      remove: (service) => zone.removeService(service),
    }),
    keep<EndpointSlice>(RESOURCES.endpointslices, {
      set: (slice) => zone.setSlice(slice),
      remove: (slice) => zone.removeSlice(slice),
    }),
  ];
  const synced = Promise.all(informers.map((informer) => informer.synced)).then(() => {
    zone.isSynced = true;
    log.info('synced', { zone: zone.domain });
  });
  // Nobody need wait for it.
  synced.catch(() => undefined);
  return {
    synced,
    stop: () => {
      for (const informer of informers) informer.stop();
    },
  };
}
