import { keyOf, type Service } from '../../kube/objects.ts';
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
  const withPods =
    stands === undefined ? inventory : { ...inventory, pods: placed(inventory.pods, stands.pods) };
  if ('profile' in patch) {
    return {
      inventory: withPods,
      profile: profileOf({ ...specOf(profile), ...patch.profile }, profile.name),
    };
  }
  if ('dial' in patch || 'rule' in patch) return { inventory: withPods, profile };
  const services = withPods.services.map((service) => patchedService(service, patch.objects));
  return { inventory: { ...withPods, services }, profile };
}

function placed(pods: Inventory['pods'], moved: Inventory['pods']): Inventory['pods'] {
  const names = new Set(moved.map(keyOf));
  return [...pods.filter((pod) => !names.has(keyOf(pod))), ...moved];
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
