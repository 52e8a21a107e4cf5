import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type KubeObject, keyOf } from '../kube/objects.ts';
import { Cache, type Change } from './cache.ts';

const object = (name: string, uid: string, resourceVersion: string): KubeObject => ({
  metadata: { namespace: 'default', name, uid, resourceVersion },
});

const names = ['a', 'b', 'c'];
const revision = fc.integer({ min: 1, max: 9 }).map(String);
const someObject = fc.tuple(fc.constantFrom(...names), fc.constantFrom('1', '2'), revision);
const step = fc.oneof(
  fc.record({
    type: fc.constantFrom('ADDED' as const, 'MODIFIED' as const, 'DELETED' as const),
    object: someObject.map((one) => object(...one)),
  }),
  fc.uniqueArray(someObject, { selector: ([name]) => name }).map((list) => ({
    type: 'LIST' as const,
    list: list.map((one) => object(...one)),
  })),
);

/** A reader that knows nothing but the changes it is told; throws on a change that does not follow from the last. */
function replay(state: Map<string, KubeObject>, change: Change<KubeObject>): void {
  const key = keyOf(change.object);
  if ((change.type === 'added') === state.has(key)) throw new Error(`${change.type} ${key} out of turn`);
  if (change.type === 'updated' && state.get(key) !== change.old)
    throw new Error('an update of another state');
  if (change.type === 'deleted') state.delete(key);
  else state.set(key, change.object);
}

describe('a cache', () => {
  it('tells changes from which a reader rebuilds its state, whatever lists and events come', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
        const cache = new Cache<KubeObject>({ byUid: (one) => [one.metadata?.uid ?? ''] });
        const state = new Map<string, KubeObject>();
        for (const one of steps) {
          const changes = one.type === 'LIST' ? cache.replace(one.list) : cache.apply(one.type, one.object);
          for (const change of changes) replay(state, change);
        }
        expect([...cache.values()].toSorted(byKey)).toEqual([...state.values()].toSorted(byKey));
        const filed = ['1', '2'].flatMap((uid) => cache.lookup('byUid', uid));
        expect(filed.toSorted(byKey)).toEqual([...state.values()].toSorted(byKey));
      }),
    );
  });

  it('tells an object made anew under its old name as deleted and added', () => {
    const cache = new Cache<KubeObject>();
    cache.replace([object('a', '1', '5')]);
    expect(cache.replace([object('a', '2', '9')]).map((change) => change.type)).toEqual(['deleted', 'added']);
  });

  it('says nothing about what it already holds', () => {
    const cache = new Cache<KubeObject>();
    cache.replace([object('a', '1', '5')]);
    expect(cache.replace([object('a', '1', '5')])).toEqual([]);
    expect(cache.apply('MODIFIED', object('a', '1', '5'))).toEqual([]);
    expect(cache.apply('DELETED', object('b', '1', '5'))).toEqual([]);
  });

  it('refuses an index nobody asked for', () => {
    expect(() => new Cache<KubeObject>().lookup('byNode', 'n1')).toThrow("no index 'byNode'");
  });
});

const byKey = (a: KubeObject, b: KubeObject): number => keyOf(a).localeCompare(keyOf(b));
