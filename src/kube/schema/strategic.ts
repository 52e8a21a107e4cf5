/**
 * Strategic merge patch, as apimachinery pkg/util/strategicpatch applies it to an object of a known type: objects merge name
 * by name, null deletes, and a list with patchStrategy `merge` merges item by item, along its patchMergeKey or as a set.
 * Directives: `$patch` (replace, delete, merge), `$retainKeys`, `$deleteFromPrimitiveList/<name>`, `$setElementOrder/<name>`
 * (design proposals "strategic merge patch" and "preserve order in strategic merge patch").
 *
 * Nothing is changed in place. What a patch gets wrong is a {@link RequestProblem}.
 */
import { isList, isObject, type Json, type JsonObject, jsonKind } from './json.ts';
import { type Field, type FieldType, knownSchema, type TypeSchema } from './model.ts';
import { RequestProblem } from './problem.ts';

const DIRECTIVE = '$patch';
const RETAIN = '$retainKeys';
const DELETE_PREFIX = '$deleteFromPrimitiveList/';
const ORDER_PREFIX = '$setElementOrder/';

type List = readonly Json[];

const malformed = (message: string): RequestProblem => new RequestProblem('BadRequest', message);

/** The patch can be read but does not fit the object: 422, as upstream; the cause says why. */
export function inapplicable(message: string, cause?: unknown): RequestProblem {
  return new RequestProblem(
    'Invalid',
    'the server rejected our request due to an error in our request',
    [{ reason: 'FieldValueInvalid', message, field: 'patch' }],
    { cause },
  );
}

/** How the members of an object merge: by the fields of its type, all alike in a map, or untyped (raw extensions). */
type Scope = { readonly schema: TypeSchema } | { readonly of: FieldType } | undefined;

interface MemberRules {
  readonly type: FieldType | undefined;
  readonly strategy: Field['patchStrategy'];
  readonly mergeKey: string | undefined;
}

const PLAIN: MemberRules = { type: undefined, strategy: [], mergeKey: undefined };

function rulesOf(scope: Scope, name: string): MemberRules {
  if (scope === undefined) return PLAIN;
  if ('of' in scope) return { ...PLAIN, type: scope.of };
  const field = scope.schema.fields.get(name);
  if (field === undefined) return PLAIN;
  return { type: field.type, strategy: field.patchStrategy, mergeKey: field.mergeKey };
}

function scopeOf(type: FieldType | undefined): Scope {
  if (type?.kind === 'object') return { schema: knownSchema(type.name) };
  return type?.kind === 'map' ? { of: type.of } : undefined;
}

/** Merges a patch into an object of the type. Throws {@link RequestProblem} BadRequest or Invalid. */
export const strategicMerge = (schema: TypeSchema, original: JsonObject, patch: JsonObject): JsonObject =>
  mergeObject({ schema }, original, patch);

function mergeObject(scope: Scope, original: JsonObject, patch: JsonObject): JsonObject {
  const { [DIRECTIVE]: directive, [RETAIN]: retain, ...rest } = patch;
  if (directive === 'replace') return without(patch, DIRECTIVE);
  if (directive === 'delete') return {};
  if (directive !== undefined && directive !== 'merge') {
    throw inapplicable(`unknown patch type: ${JSON.stringify(directive)} in map: ${JSON.stringify(patch)}`);
  }
  const out = new Map(Object.entries(retain === undefined ? original : retained(original, rest, retain)));
  for (const name of memberNames(rest)) {
    const merged = mergeMember(rulesOf(scope, name), out.get(name), name, rest);
    if (merged === undefined) out.delete(name);
    else out.set(name, merged);
  }
  return Object.fromEntries(out);
}

const without = (object: JsonObject, name: string): JsonObject =>
  Object.fromEntries(Object.entries(object).filter(([key]) => key !== name));

/** The members a patch speaks of, plainly or by a directive that stands beside the list. */
function memberNames(patch: JsonObject): Set<string> {
  const names = Object.keys(patch).map((key) => {
    const prefix = [DELETE_PREFIX, ORDER_PREFIX].find((one) => key.startsWith(one));
    return prefix === undefined ? key : key.slice(prefix.length);
  });
  return new Set(names);
}

/** `$retainKeys` lists what may stay; the patch may set nothing else. */
function retained(original: JsonObject, patch: JsonObject, retain: Json): JsonObject {
  const named = (name: string) => isList(retain) && retain.includes(name);
  const stray = Object.entries(patch).some(
    ([name, value]) => value !== null && !isDirective(name) && !named(name),
  );
  if (!isList(retain) || stray) throw malformed('invalid patch format of retainKeys');
  return Object.fromEntries(Object.entries(original).filter(([name]) => named(name)));
}

function mergeMember(
  rules: MemberRules,
  original: Json | undefined,
  name: string,
  patch: JsonObject,
): Json | undefined {
  const deletions = patch[DELETE_PREFIX + name];
  const order = patch[ORDER_PREFIX + name];
  if (deletions !== undefined && !isList(deletions))
    throw malformed('invalid patch format of primitive list');
  if (order !== undefined && !isList(order)) throw malformed('invalid patch format of setElementOrder list');
  let value: Json | undefined = original;
  if (Object.hasOwn(patch, name)) value = mergeValue(rules, original, patch[name] ?? null);
  if (order !== undefined && isList(value)) {
    checkOrder(rules, patch[name], order);
    value = inOrder(rules.mergeKey, value, order, isList(original) ? original : []);
  }
  if (deletions !== undefined && isList(value)) value = value.filter((item) => !deletions.includes(item));
  return value;
}

function mergeValue(rules: MemberRules, original: Json | undefined, patch: Json): Json | undefined {
  if (patch === null) return undefined;
  if (isObject(original) && isObject(patch)) {
    return rules.strategy.includes('replace') ? patch : mergeObject(scopeOf(rules.type), original, patch);
  }
  if (isList(original) && isList(patch)) {
    return rules.strategy.includes('merge') ? mergeLists(rules, original, patch) : patch;
  }
  return fresh(patch);
}

const isDirective = (name: string): boolean =>
  name === RETAIN || name.startsWith(DELETE_PREFIX) || name.startsWith(ORDER_PREFIX);

/** A value that has nothing to merge with: nulls and directives in it have done their work. */
function fresh(patch: Json): Json | undefined {
  if (isList(patch)) return patch.map(fresh).filter((item) => item !== undefined);
  if (!isObject(patch)) return patch;
  if (Object.hasOwn(patch, DIRECTIVE)) return undefined;
  const members = Object.entries(patch).flatMap(([name, value]) => {
    const kept = value === null || isDirective(name) ? undefined : fresh(value);
    return kept === undefined ? [] : [[name, kept] as const];
  });
  return Object.fromEntries(members);
}

function mergeLists(rules: MemberRules, original: List, patch: List): List {
  if (rules.mergeKey !== undefined) return mergeItems(rules.mergeKey, rules, original, patch);
  for (const item of [...original, ...patch]) {
    if (isList(item)) throw inapplicable('lists of lists are not supported');
    if (isObject(item)) throw inapplicable('cannot merge lists without merge key');
  }
  const merged = [...new Set([...original, ...patch])];
  return inOrder(undefined, merged, patch, original);
}

/** The item's value of the merge key; without one the item cannot be told from the others. */
function keyOf(item: Json, mergeKey: string): Json {
  if (isList(item)) throw inapplicable('lists of lists are not supported');
  if (!isObject(item)) throw inapplicable(`expected a map, but received a ${jsonKind(item)}`);
  const key = item[mergeKey];
  if (key === undefined) {
    throw inapplicable(`map: ${JSON.stringify(item)} does not contain declared merge key: ${mergeKey}`);
  }
  return key;
}

function mergeItems(mergeKey: string, rules: MemberRules, original: List, patch: List): List {
  const scope = scopeOf(rules.type?.kind === 'list' ? rules.type.of : undefined);
  const directed = patch.filter(
    (item) => isObject(item) && Object.hasOwn(item, DIRECTIVE),
  ) as readonly JsonObject[];
  const plain = patch.filter((item) => !(isObject(item) && Object.hasOwn(item, DIRECTIVE)));
  if (applyItemDirectives(directed)) return plain;
  const deleted = directed.map((item) => keyOf(item, mergeKey));
  const merged = original.filter((item) => !deleted.includes(keyOf(item, mergeKey)));
  for (const item of plain) {
    const key = keyOf(item, mergeKey);
    const at = merged.findIndex((one) => keyOf(one, mergeKey) === key);
    const before = merged[at];
    if (isObject(before) && isObject(item)) merged[at] = mergeObject(scope, before, item);
    else merged.push(fresh(item) ?? {});
  }
  return inOrder(mergeKey, merged, plain, original);
}

/** Whether `$patch: replace` stands among the items; every other directive but `delete` is refused. */
function applyItemDirectives(items: readonly JsonObject[]): boolean {
  for (const item of items) {
    const directive = item[DIRECTIVE];
    if (directive === 'merge') throw inapplicable('merging lists cannot yet be specified in the patch');
    if (directive !== 'replace' && directive !== 'delete') {
      throw inapplicable(`unknown patch type: ${JSON.stringify(directive)} in map: ${JSON.stringify(item)}`);
    }
  }
  return items.some((item) => item[DIRECTIVE] === 'replace');
}

const identity = (mergeKey: string | undefined, item: Json): Json =>
  mergeKey === undefined ? item : keyOf(item, mergeKey);

/** The items of the patch list must stand in `$setElementOrder`, in the same order; deletions do not count. */
function checkOrder({ mergeKey }: MemberRules, patch: Json | undefined, order: List): void {
  if (!isList(patch) || patch.length === 0 || order.length === 0) return;
  const items = patch.filter((item) => !(isObject(item) && Object.hasOwn(item, DIRECTIVE)));
  let at = 0;
  for (const item of items) {
    const key = identity(mergeKey, item);
    while (at < order.length && identity(mergeKey, order[at] ?? null) !== key) at += 1;
    if (at === order.length) {
      throw inapplicable(
        `The order in patch list: ${JSON.stringify(patch)} doesn't match $setElementOrder list: ${JSON.stringify(order)}`,
      );
    }
    at += 1;
  }
}

/**
 * Orders a merged list: what `order` names stands in that order, the rest keeps the live order. One of the rest goes before a
 * named item only if both are in the live list and it stands first there; so what is new comes before what is left over.
 */
function inOrder(mergeKey: string | undefined, merged: List, order: List, live: List): List {
  const wanted = order.map((item) => identity(mergeKey, item));
  const standing = live.map((item) => identity(mergeKey, item));
  const rank = (ranks: List, item: Json): number => {
    const at = ranks.indexOf(identity(mergeKey, item));
    return at < 0 ? Number.POSITIVE_INFINITY : at;
  };
  const precedes = (a: number, b: number) => Number.isFinite(b) && a < b;
  const by = (ranks: List) => (a: Json, b: Json) => Math.sign(rank(ranks, a) - rank(ranks, b)) || 0;
  const named = merged.filter((item) => Number.isFinite(rank(wanted, item))).sort(by(wanted));
  const others = merged.filter((item) => !Number.isFinite(rank(wanted, item))).sort(by(standing));
  const out: Json[] = [];
  let at = 0;
  for (const item of named) {
    let next = others[at];
    while (next !== undefined && precedes(rank(standing, next), rank(standing, item))) {
      out.push(next);
      at += 1;
      next = others[at];
    }
    out.push(item);
  }
  return [...out, ...others.slice(at)];
}
