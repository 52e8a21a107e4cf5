import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { RESOURCES } from '../resources.ts';
import { isList, isObject, type Json, type JsonObject, sameJson } from './json.ts';
import { type FieldType, knownSchema, type TypeSchema } from './model.ts';
import { applyPatch, PATCH_TYPES, RequestProblem } from './schema.ts';
import { strategicMerge } from './strategic.ts';

const POD = knownSchema('core.v1.Pod');

function patchPod(object: JsonObject, patch: Json, type: string = PATCH_TYPES.strategic): JsonObject {
  return applyPatch(RESOURCES.pods, object, new TextEncoder().encode(JSON.stringify(patch)), type);
}

function refusal(run: () => unknown): { code: number; why: string } {
  try {
    run();
  } catch (error) {
    if (error instanceof RequestProblem)
      return { code: error.code, why: error.causes[0]?.message ?? error.message };
    throw error;
  }
  throw new Error('expected a RequestProblem');
}

/** The patch that turns one object into another, as kubectl apply would write it. */
function diff(schema: TypeSchema | undefined, from: JsonObject, to: JsonObject): JsonObject {
  const out: { [name: string]: Json } = {};
  for (const name of Object.keys(from)) if (!Object.hasOwn(to, name)) out[name] = null;
  for (const [name, after] of Object.entries(to)) {
    const before = from[name];
    const field = schema?.fields.get(name);
    if (sameJson(before, after)) continue;
    if (isObject(before) && isObject(after)) out[name] = diff(typed(field?.type), before, after);
    else if (isList(before) && isList(after) && field?.patchStrategy.includes('merge')) {
      const of = field.type.kind === 'list' ? typed(field.type.of) : undefined;
      Object.assign(out, diffLists(name, field.mergeKey, of, before, after));
    } else out[name] = after;
  }
  return out;
}

const typed = (type: FieldType | undefined) => (type?.kind === 'object' ? knownSchema(type.name) : undefined);

function diffLists(
  name: string,
  key: string | undefined,
  of: TypeSchema | undefined,
  before: readonly Json[],
  after: readonly Json[],
): JsonObject {
  if (key === undefined) {
    return {
      [`$deleteFromPrimitiveList/${name}`]: before.filter((item) => !after.includes(item)),
      [`$setElementOrder/${name}`]: after,
      [name]: after.filter((item) => !before.includes(item)),
    };
  }
  const find = (list: readonly Json[], value: Json | undefined) =>
    list.filter(isObject).find((item) => item[key] === value);
  const changed = after.filter(isObject).map((item) => {
    const old = find(before, item[key]);
    return old === undefined ? item : { ...diff(of, old, item), [key]: item[key] ?? null };
  });
  const gone = before.filter(isObject).filter((item) => find(after, item[key]) === undefined);
  return {
    [name]: [...changed, ...gone.map((item) => ({ [key]: item[key] ?? null, $patch: 'delete' }))],
    [`$setElementOrder/${name}`]: after.filter(isObject).map((item) => ({ [key]: item[key] ?? null })),
  };
}

const word = fc.constantFrom('a', 'b', 'c', 'd', 'e');
const words = fc.uniqueArray(word, { maxLength: 4 });
const map = fc.dictionary(word, word, { maxKeys: 3 });
const optional = <T extends object>(
  model: { [K in keyof T]: fc.Arbitrary<T[K]> },
  requiredKeys: (keyof T)[] = [],
) => fc.record(model, { requiredKeys, noNullPrototype: true });
const keyed = (item: fc.Arbitrary<{ readonly [name: string]: unknown }>, key: string) =>
  fc.uniqueArray(item, { maxLength: 4, selector: (one) => one[key] });

const container = optional(
  {
    name: word,
    image: word,
    args: fc.array(word, { maxLength: 3 }),
    env: keyed(optional({ name: word, value: word }, ['name']), 'name'),
    ports: keyed(
      optional({ containerPort: fc.integer({ min: 1, max: 5 }), name: word }, ['containerPort']),
      'containerPort',
    ),
    resources: optional({ limits: map }),
  },
  ['name'],
);
const pod: fc.Arbitrary<JsonObject> = optional(
  {
    metadata: optional({ name: fc.constant('p'), labels: map, finalizers: words }),
    spec: optional(
      {
        nodeName: word,
        containers: keyed(container, 'name'),
        nodeSelector: map,
        tolerations: fc.array(optional({ key: word }), { maxLength: 2 }),
        imagePullSecrets: keyed(optional({ name: word }, ['name']), 'name'),
      },
      [],
    ),
  },
  ['metadata', 'spec'],
).map((value) => JSON.parse(JSON.stringify(value)) as JsonObject);

describe('strategic merge patch', () => {
  it('of the difference gives the target', () => {
    fc.assert(
      fc.property(pod, pod, (from, to) => {
        expect(strategicMerge(POD, from, diff(POD, from, to))).toEqual(to);
      }),
      { numRuns: 500 },
    );
  });

  it('of nothing changes nothing, and of the same patch twice no more than once', () => {
    fc.assert(
      fc.property(pod, pod, (from, patch) => {
        expect(strategicMerge(POD, from, {})).toEqual(from);
        const once = strategicMerge(POD, from, patch);
        expect(strategicMerge(POD, once, patch)).toEqual(once);
      }),
    );
  });

  it('leaves alone what somebody else added meanwhile', () => {
    const from = { spec: { containers: [{ name: 'a', image: '1' }, { name: 'b' }] } };
    const to = { spec: { containers: [{ name: 'b' }, { name: 'a', image: '2' }] } };
    const live = {
      spec: { containers: [{ name: 'sidecar' }, { name: 'a', image: '1', args: ['x'] }, { name: 'b' }] },
    };
    expect(strategicMerge(POD, live, diff(POD, from, to))).toEqual({
      spec: { containers: [{ name: 'sidecar' }, { name: 'b' }, { name: 'a', image: '2', args: ['x'] }] },
    });
  });

  const live = {
    metadata: { labels: { a: '1' }, finalizers: ['x', 'y'] },
    spec: { containers: [{ name: 'a', image: '1' }, { name: 'b' }], volumes: [{ name: 'v', emptyDir: {} }] },
  };

  it.each<[string, JsonObject, unknown]>([
    ['null deletes', { metadata: { labels: { a: null, b: '2' } } }, { metadata: { labels: { b: '2' } } }],
    [
      'lists without a strategy are replaced',
      { spec: { tolerations: [{ key: 'k' }] } },
      { spec: { tolerations: [{ key: 'k' }] } },
    ],
    [
      '$patch: replace on an object',
      { metadata: { $patch: 'replace', name: 'n' } },
      { metadata: { name: 'n' } },
    ],
    [
      '$patch: delete on an object',
      { metadata: { labels: { $patch: 'delete' } } },
      { metadata: { labels: {} } },
    ],
    [
      '$patch: replace in a list',
      { spec: { containers: [{ name: 'c' }, { $patch: 'replace' }] } },
      { spec: { containers: [{ name: 'c' }] } },
    ],
    [
      '$patch: delete in a list',
      { spec: { containers: [{ name: 'a', $patch: 'delete' }] } },
      { spec: { containers: [{ name: 'b' }] } },
    ],
    [
      'primitive lists merge as sets',
      { metadata: { finalizers: ['y', 'z'] } },
      { metadata: { finalizers: ['x', 'y', 'z'] } },
    ],
    [
      '$deleteFromPrimitiveList',
      { metadata: { '$deleteFromPrimitiveList/finalizers': ['x'] } },
      { metadata: { finalizers: ['y'] } },
    ],
    [
      '$retainKeys drops the other members of a union',
      { spec: { volumes: [{ name: 'v', $retainKeys: ['name', 'hostPath'], hostPath: { path: '/' } }] } },
      { spec: { volumes: [{ name: 'v', hostPath: { path: '/' } }] } },
    ],
    [
      '$setElementOrder alone',
      { spec: { '$setElementOrder/containers': [{ name: 'b' }, { name: 'a' }] } },
      { spec: { containers: [{ name: 'b' }, { name: 'a', image: '1' }] } },
    ],
  ])('%s', (_title, patch, expected) => {
    expect(patchPod(live, patch)).toMatchObject(expected as object);
    const [[section = '', members] = []] = Object.entries(expected as Record<string, object>);
    for (const [name, value] of Object.entries(members ?? {})) {
      expect((patchPod(live, patch)[section] as JsonObject)[name]).toEqual(value);
    }
  });

  it('refuses what it cannot read (400) and what does not fit (422)', () => {
    expect(refusal(() => patchPod(live, { spec: { containers: [{ image: 'x' }] } }))).toEqual({
      code: 422,
      why: 'map: {"image":"x"} does not contain declared merge key: name',
    });
    expect(refusal(() => patchPod(live, { spec: { $patch: 'shuffle' } })).code).toBe(422);
    expect(refusal(() => patchPod(live, { spec: { $retainKeys: ['a'], volumes: [] } }))).toEqual({
      code: 400,
      why: 'invalid patch format of retainKeys',
    });
    expect(
      refusal(() => patchPod(live, { metadata: { '$deleteFromPrimitiveList/finalizers': 'x' } })).code,
    ).toBe(400);
    expect(refusal(() => patchPod(live, [])).code).toBe(400);
  });
});

describe('JSON merge patch', () => {
  it('gives the appendix of RFC 7396', () => {
    const cases: [JsonObject, JsonObject, JsonObject][] = [
      [{ a: 'b' }, { a: 'c' }, { a: 'c' }],
      [{ a: 'b' }, { b: 'c' }, { a: 'b', b: 'c' }],
      [{ a: 'b', b: 'c' }, { a: null }, { b: 'c' }],
      [{ a: ['b'] }, { a: 'c' }, { a: 'c' }],
      [{ a: { b: 'c' } }, { a: { b: 'd', c: null } }, { a: { b: 'd' } }],
      [{ a: [{ b: 'c' }] }, { a: [1] }, { a: [1] }],
      [{ e: null }, { a: 1 }, { e: null, a: 1 }],
      [{}, { a: { bb: { ccc: null } } }, { a: { bb: {} } }],
    ];
    for (const [target, patch, expected] of cases)
      expect(patchPod(target, patch, PATCH_TYPES.merge)).toEqual(expected);
  });

  it('of the difference gives the target', () => {
    fc.assert(
      fc.property(pod, pod, (from, to) => {
        const plain = (a: JsonObject, b: JsonObject): JsonObject =>
          Object.fromEntries([
            ...Object.keys(a)
              .filter((name) => !Object.hasOwn(b, name))
              .map((name) => [name, null] as const),
            ...Object.entries(b).map(([name, value]) => {
              const before = a[name];
              return [name, isObject(value) && isObject(before) ? plain(before, value) : value] as const;
            }),
          ]);
        expect(patchPod(from, plain(from, to), PATCH_TYPES.merge)).toEqual(to);
      }),
    );
  });
});

describe('JSON patch', () => {
  const object = { metadata: { labels: { a: '1' } }, spec: { containers: [{ name: 'a' }] } };

  it('applies its operations and leaves the object alone', () => {
    const patch = [
      { op: 'test', path: '/metadata/labels/a', value: '1' },
      { op: 'replace', path: '/metadata/labels/a', value: '2' },
      { op: 'add', path: '/spec/containers/-', value: { name: 'b' } },
    ];
    expect(patchPod(object, patch, PATCH_TYPES.json)).toEqual({
      metadata: { labels: { a: '2' } },
      spec: { containers: [{ name: 'a' }, { name: 'b' }] },
    });
    expect(object.metadata.labels.a).toBe('1');
  });

  it('refuses a failed test and a missing path (422), another operation and no list (400), another type (415)', () => {
    const code = (patch: Json, type: string = PATCH_TYPES.json) =>
      refusal(() => patchPod(object, patch, type)).code;
    expect(code([{ op: 'test', path: '/metadata/labels/a', value: '2' }])).toBe(422);
    expect(code([{ op: 'remove', path: '/metadata/labels/b' }])).toBe(422);
    expect(code([{ op: 'replace', path: '', value: 1 }])).toBe(422);
    expect(code([{ op: 'shuffle', path: '/a' }])).toBe(400);
    expect(code({})).toBe(400);
    expect(code({}, 'application/apply-patch+yaml')).toBe(415);
  });
});
