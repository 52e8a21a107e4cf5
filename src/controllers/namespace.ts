/** Namespace: one that is deleted loses its content first, then its finalizer `kubernetes`, and with that itself. */
import { ApiError } from '../client/client.ts';
import type { KubeObject, Namespace } from '../kube/objects.ts';
import { ALL_RESOURCES, apiVersionOf, pathOf, RESOURCES } from '../kube/resources.ts';
import { type Context, queueOf } from './context.ts';
import { isDeleting, keyPartsOf, nameOf, namespaceOf, uidOf } from './metadata.ts';

const FINALIZER = 'kubernetes';
/** Content that ends by itself, as pods do, wakes us when it is gone; this is for what the watches do not tell (Events). */
const LOOK_AGAIN_MS = 1_000;

export function startNamespaces(context: Context): void {
  const { client, informers } = context;
  const queue = queueOf(context, 'namespace', sync, 4);
  informers.namespaces.subscribe({
    added: (namespace) => isDeleting(namespace) && queue.add(nameOf(namespace)),
    updated: (namespace) => isDeleting(namespace) && queue.add(nameOf(namespace)),
  });
  for (const [resource, informer] of informers.all) {
    if (resource.namespaced) informer.subscribe({ deleted: wake });
  }

  function wake(object: KubeObject): void {
    const namespace = informers.namespaces.get(namespaceOf(object));
    if (namespace !== undefined && isDeleting(namespace)) queue.add(nameOf(namespace));
  }

  async function sync(name: string): Promise<void> {
    const namespace = informers.namespaces.get(name);
    if (namespace === undefined || !isDeleting(namespace)) return;
    if (!(namespace.spec?.finalizers ?? []).includes(FINALIZER)) return;
    // Asked of the server, not of the caches: what they have yet to hear of must not outlive its namespace.
    const left = await Promise.all(namespacedResources.map((resource) => empty(resource, name)));
    if (left.some((count) => count > 0)) queue.addAfter(name, LOOK_AGAIN_MS);
    else await finalize(namespace);
  }

  /** Deletes what there is of the resource; how many there were. */
  async function empty(resource: (typeof ALL_RESOURCES)[number], namespace: string): Promise<number> {
    const { items } = await client.list(resource, { namespace });
    await Promise.all(
      items
        .filter((object) => !isDeleting(object))
        .map(async (object) => {
          try {
            const options = {
              propagationPolicy: 'Background',
              preconditions: { uid: uidOf(object) },
            } as const;
            await client.delete(resource, keyPartsOf(object), options);
          } catch (error) {
            if (!ApiError.is(error, 'NotFound') && !ApiError.is(error, 'Conflict')) throw error;
          }
        }),
    );
    return items.length;
  }

  async function finalize(namespace: Namespace): Promise<void> {
    const finalizers = (namespace.spec?.finalizers ?? []).filter((one) => one !== FINALIZER);
    const body = {
      ...namespace,
      apiVersion: apiVersionOf(RESOURCES.namespaces),
      kind: 'Namespace',
      spec: { ...namespace.spec, finalizers },
    };
    try {
      await client.request(
        'PUT',
        pathOf(RESOURCES.namespaces, undefined, nameOf(namespace), 'finalize'),
        body,
      );
    } catch (error) {
      if (!ApiError.is(error, 'NotFound')) throw error;
    }
  }
}

const namespacedResources = ALL_RESOURCES.filter(({ namespaced }) => namespaced);
