import { type EndpointSlice, keyOf, type Pod, type Service } from '../../kube/objects.ts';
import { MANAGED_BY, SLICE_CONTROLLER, selectsPod } from '../../kube/service-endpoints.ts';
import { serviceOfSlice } from '../../proxy/proxy.ts';
import type { Inventory } from '../../world/from-objects/from-objects.ts';
import { type ClusterProfile, profileOf, specOf } from '../../world/profile.ts';
import type { Attempt, JsonObject, JsonValue, ObjectPatch } from './fix.ts';

/** What a cluster is built from. */
export interface Source {
  readonly inventory: Inventory;
  readonly profile: ClusterProfile;
}

/** A copy of the source with the attempt's changes. Throws {@link Fault} FE011 for a profile that cannot be. */
export function changed({ inventory, profile }: Source, { patch, stands }: Attempt): Source {
  const withPods = stands === undefined ? inventory : withPlaced(inventory, stands.pods);
  if ('profile' in patch) {
    return {
      inventory: withPods,
      profile: profileOf({ ...specOf(profile), ...patch.profile }, profile.name),
    };
  }
  if ('dial' in patch || 'rule' in patch) return { inventory: withPods, profile };
  const services = withPods.services.map((service) => patchedService(service, patch.objects));
  const patched = services.filter((service) => !withPods.services.includes(service));
  return { inventory: withoutSlicesOf({ ...withPods, services }, patched), profile };
}

function withPlaced(inventory: Inventory, moved: readonly Pod[]): Inventory {
  const names = new Set(moved.map(keyOf));
  const kept = inventory.pods.filter((pod) => !names.has(keyOf(pod)));
  const touched = [...inventory.pods.filter((pod) => names.has(keyOf(pod))), ...moved];
  const services = inventory.services.filter((service) => touched.some((pod) => selectsPod(service, pod)));
  const sockets = withTwins(inventory, moved, services);
  return withoutSlicesOf({ ...inventory, pods: [...kept, ...moved], ...(sockets && { sockets }) }, services);
}

/** A pod that is placed anew listens where the others behind its Services do. */
function withTwins({ pods, sockets }: Inventory, moved: readonly Pod[], services: readonly Service[]) {
  if (sockets === undefined) return undefined;
  const twins = moved.flatMap((pod) => {
    const own = services.filter((service) => selectsPod(service, pod));
    const isTwin = (one: Pod) => sockets.has(keyOf(one)) && own.some((service) => selectsPod(service, one));
    const read = sockets.get(keyOf(pods.find(isTwin) ?? pod));
    return sockets.has(keyOf(pod)) || read === undefined ? [] : [[keyOf(pod), read] as const];
  });
  return new Map([...sockets, ...twins]);
}

/** The controller would make the slices of these Services anew; what somebody else wrote stays. */
function withoutSlicesOf(inventory: Inventory, services: readonly Service[]): Inventory {
  const names = new Set(services.map(keyOf));
  const isStale = (slice: EndpointSlice) =>
    slice.metadata?.labels?.[MANAGED_BY] === SLICE_CONTROLLER && names.has(serviceOfSlice(slice));
  return { ...inventory, slices: inventory.slices.filter((slice) => !isStale(slice)) };
}

function patchedService(service: Service, patches: readonly ObjectPatch[]): Service {
  const name = `service/${keyOf(service)}`;
  const merges = patches.filter(({ object }) => object === name).map(({ merge }) => merge);
  // A merge patch of a Service gives a Service: candidates write fields of its schema only.
  return merges.reduce<Service>(
    (merged, merge) => mergePatch(merged as JsonObject, merge) as Service,
    service,
  );
}

/** RFC 7396: maps are merged, null removes, anything else replaces. */
export function mergePatch(target: JsonValue | undefined, patch: JsonValue): JsonValue {
  if (!isMap(patch)) return patch;
  const merged: Record<string, JsonValue> = isMap(target) ? { ...target } : {};
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete merged[key];
    else merged[key] = mergePatch(merged[key], value);
  }
  return merged;
}

const isMap = (value: JsonValue | undefined): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
