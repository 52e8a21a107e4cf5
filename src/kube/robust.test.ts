import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { applyDefaults } from './defaults.ts';
import type { KubeObject } from './objects.ts';
import { ALL_RESOURCES, resourceOf } from './resources.ts';
import { tableOf } from './table/table.ts';
import { validateCreate, validateUpdate } from './validation/validation.ts';

const objectsOf = (file: string): KubeObject[] =>
  parseAllDocuments(readFileSync(new URL(file, import.meta.url), 'utf8')).map((one) => one.toJS());

const objects = [
  ...ALL_RESOURCES.flatMap(({ plural }) => objectsOf(`table/testdata/${plural}.yaml`)),
  ...objectsOf('testdata/defaults.yaml'),
];

/** Every place in the value, outermost first, as paths of keys. */
function placesIn(value: unknown, path: readonly string[] = []): (readonly string[])[] {
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, inner]) => {
    const place = [...path, key];
    return [place, ...placesIn(inner, place)];
  });
}

/** A copy without what is at the place. */
function without(value: KubeObject, place: readonly string[]): KubeObject {
  const copy: unknown = structuredClone(value);
  let at: unknown = copy;
  for (const key of place.slice(0, -1)) at = Reflect.get(Object(at), key);
  const last = place.at(-1) ?? '';
  if (Array.isArray(at)) at.splice(Number(last), 1);
  else if (typeof at === 'object' && at !== null) Reflect.deleteProperty(at, last);
  return copy as KubeObject;
}

const resourceFor = ({ apiVersion = '', kind = '' }: KubeObject) => resourceOf(apiVersion, kind);

/** An object of the goldens with some of its fields left out, as a client may. */
const incomplete = fc
  .record({ object: fc.constantFrom(...objects), picks: fc.array(fc.nat(), { maxLength: 4 }) })
  .map(({ object, picks }) => {
    const { apiVersion, kind } = object;
    const left = picks.reduce<KubeObject>((some, pick) => {
      const places = placesIn(some);
      return places.length === 0 ? some : without(some, places[pick % places.length] ?? []);
    }, object);
    return {
      ...left,
      ...(apiVersion === undefined ? {} : { apiVersion }),
      ...(kind === undefined ? {} : { kind }),
    };
  });

describe('whatever a client leaves out', () => {
  it('is defaulted to the same twice, judged and printed', () => {
    fc.assert(
      fc.property(incomplete, incomplete, (object, old) => {
        const resource = resourceFor(object);
        if (resource === undefined) throw new Error(`no resource for ${object.kind}`);
        const ready = applyDefaults(resource, object);
        expect(applyDefaults(resource, ready)).toEqual(ready);
        for (const error of validateCreate(resource, ready)) expect(error.detail).not.toMatch(/undefined/);
        if (resourceFor(old) === resource) validateUpdate(resource, ready, applyDefaults(resource, old));
        for (const one of [object, ready]) {
          const table = tableOf(resource, [one], { now: 0 });
          expect(table.rows[0]?.cells.map(String).join(' ')).not.toMatch(/undefined|NaN|object/);
        }
      }),
      { numRuns: 2000 },
    );
  });
});
