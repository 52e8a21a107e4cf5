/**
 * Endpoints into EndpointSlices with as few writes as can be. Pure.
 *
 * Promises: every wanted endpoint stands in exactly one slice of its ports; no slice holds more than the maximum; a slice
 * whose endpoints are all as wanted is not written. Endpoints stay in the slice they are in. New ones go first into slices that
 * are written anyway, then all together into the fullest slice that takes them, then into new slices (KEP-752).
 */
import type { EndpointPort, EndpointSlice, SliceEndpoint } from '../../kube/objects.ts';
import type { PortGroup } from '../../kube/service-endpoints.ts';
import { canonicalJson, sameJson } from '../same-json.ts';

export const MAX_ENDPOINTS = 100;

export interface SliceContent {
  readonly ports: readonly EndpointPort[];
  readonly endpoints: readonly SliceEndpoint[];
}

export interface SlicePlan {
  readonly create: readonly SliceContent[];
  readonly update: readonly { readonly slice: EndpointSlice; readonly content: SliceContent }[];
  readonly remove: readonly EndpointSlice[];
}

/** A slice and what it shall hold. */
interface Draft {
  readonly slice: EndpointSlice;
  endpoints: SliceEndpoint[];
  changed: boolean;
}

export function packSlices(
  wanted: readonly PortGroup[],
  existing: readonly EndpointSlice[],
  max: number = MAX_ENDPOINTS,
): SlicePlan {
  // A Service without endpoints has one empty slice, which tells its readers that the Service is known.
  const groups = wanted.length === 0 ? [{ ports: [], endpoints: [] }] : wanted;
  const byPorts = Map.groupBy(existing, ({ ports }) => canonicalJson(ports ?? []));
  const plans = groups.map((group) => packGroup(group, byPorts.get(canonicalJson(group.ports)) ?? [], max));
  const used = new Set(groups.map(({ ports }) => canonicalJson(ports)));
  const unused = existing.filter(({ ports }) => !used.has(canonicalJson(ports ?? [])));
  return reuse({
    create: plans.flatMap(({ create }) => create),
    update: plans.flatMap(({ update }) => update),
    remove: [...unused, ...plans.flatMap(({ remove }) => remove)],
  });
}

function packGroup(group: PortGroup, existing: readonly EndpointSlice[], max: number): SlicePlan {
  const { drafts, missing } = keepPlaces(group, existing);
  let rest = missing;
  const changed = drafts
    .filter((draft) => draft.changed)
    .toSorted((a, b) => b.endpoints.length - a.endpoints.length);
  for (const draft of changed) rest = fill(draft, rest, max);
  const overflow = rest.length % max;
  const fitting = drafts
    .filter((draft) => draft.endpoints.length > 0 && draft.endpoints.length + overflow <= max)
    .toSorted((a, b) => b.endpoints.length - a.endpoints.length)[0];
  if (overflow > 0 && fitting !== undefined) {
    fill(fitting, rest.slice(rest.length - overflow), max);
    rest = rest.slice(0, rest.length - overflow);
  }
  const create: SliceContent[] = [];
  for (let at = 0; at < rest.length; at += max) {
    create.push({ ports: group.ports, endpoints: rest.slice(at, at + max) });
  }
  return finish(group, drafts, create);
}

/** The slices with what stays in them, and the endpoints that stand in none. */
function keepPlaces(group: PortGroup, existing: readonly EndpointSlice[]) {
  const missing = new Map(group.endpoints.map((endpoint) => [identityOf(endpoint), endpoint]));
  const drafts = existing.map((slice): Draft => {
    const before = slice.endpoints ?? [];
    const endpoints = before.flatMap((endpoint) => {
      const key = identityOf(endpoint);
      const wanted = missing.get(key);
      missing.delete(key);
      return wanted === undefined ? [] : [wanted];
    });
    return { slice, endpoints, changed: !sameJson(endpoints, before) };
  });
  return { drafts, missing: [...missing.values()] };
}

/** A pod keeps its place when its address changes hands or its conditions do; without a pod the address is the identity. */
const identityOf = ({ addresses, targetRef }: SliceEndpoint): string => targetRef?.uid ?? addresses.join();

function fill(draft: Draft, endpoints: readonly SliceEndpoint[], max: number): SliceEndpoint[] {
  const room = Math.max(0, max - draft.endpoints.length);
  if (room > 0 && endpoints.length > 0) {
    draft.endpoints = [...draft.endpoints, ...endpoints.slice(0, room)];
    draft.changed = true;
  }
  return endpoints.slice(room);
}

function finish(group: PortGroup, drafts: readonly Draft[], create: SliceContent[]): SlicePlan {
  const { ports } = group;
  const full = drafts.filter(({ endpoints }) => endpoints.length > 0);
  const empty = drafts.filter(({ endpoints }) => endpoints.length === 0);
  const isPlaceholder = full.length === 0 && group.endpoints.length === 0;
  const kept = isPlaceholder ? empty.slice(0, 1) : full;
  return {
    create: isPlaceholder && kept.length === 0 ? [{ ports, endpoints: [] }] : create,
    update: kept
      .filter(({ changed }) => changed)
      .map(({ slice, endpoints }) => ({ slice, content: { ports, endpoints } })),
    remove: drafts
      .filter(({ slice }) => !kept.some((draft) => draft.slice === slice))
      .map(({ slice }) => slice),
  };
}

/** A slice to be removed takes the content of one to be created: one write, and its readers see no gap. */
function reuse({ create, update, remove }: SlicePlan): SlicePlan {
  const pairs = create.flatMap((content, at) => {
    const slice = remove[at];
    return slice === undefined ? [] : [{ slice, content }];
  });
  return {
    create: create.slice(pairs.length),
    update: [...update, ...pairs],
    remove: remove.slice(pairs.length),
  };
}
