/**
 * Structural decoding: what Go's strict JSON decoder does to a request body. Unknown names are dropped and reported, null and
 * empty optional values are dropped, leaves take their canonical form, structs that are no pointers appear as `{}`.
 * The words of the errors follow encoding/json (UnmarshalTypeError) and sigs.k8s.io/json (strict errors).
 */

import { isList, isObject, type Json, type JsonObject, jsonKind } from './json.ts';
import { isEmptyLeaf, readLeaf, zeroOf } from './leaves.ts';
import { type Field, type FieldType, knownSchema, type TypeSchema } from './model.ts';

/** Where a value stands, in the two ways upstream says it, and in which Go struct. */
interface Place {
  /** As strict errors have it: `spec.ports[0].name`. */
  readonly path: string;
  /** As type errors have it, without positions: `spec.ports.name`. */
  readonly stack: string;
  readonly struct: string;
}

/** A value of the wrong type; the message is encoding/json's. */
export class TypeMismatch extends Error {}

const join = (path: string, name: string): string => (path === '' ? name : `${path}.${name}`);

function mismatch(found: string, place: Place, type: FieldType): TypeMismatch {
  const into = place.stack === '' ? 'Go value' : `Go struct field ${place.struct}.${place.stack}`;
  return new TypeMismatch(`json: cannot unmarshal ${found} into ${into} of type ${type.go}`);
}

class Decoder {
  readonly unknown: string[] = [];

  object(schema: TypeSchema, value: JsonObject, place: Place): JsonObject {
    const here = { ...place, struct: schema.name.slice(schema.name.lastIndexOf('.') + 1) };
    const out: [string, Json][] = [];
    for (const [name, member] of Object.entries(value)) {
      const path = join(here.path, name);
      const field = schema.fields.get(name);
      if (field === undefined) this.unknown.push(path);
      else {
        const read = this.#field(field, member, { ...here, path, stack: join(here.stack, name) });
        if (read !== undefined) out.push([name, read]);
      }
    }
    this.#fillStructs(schema, out, here);
    return Object.fromEntries(out);
  }

  /** Go writes a struct that is no pointer even when nothing was set in it, e.g. `status: {loadBalancer: {}}`. */
  #fillStructs(schema: TypeSchema, out: [string, Json][], place: Place): void {
    const present = new Set(out.map(([name]) => name));
    for (const field of schema.fields.values()) {
      if (field.type.kind !== 'object' || field.pointer || present.has(field.name)) continue;
      out.push([field.name, this.object(knownSchema(field.type.name), {}, place)]);
    }
  }

  #field(field: Field, value: Json, place: Place): Json | undefined {
    if (value === null) return undefined;
    const read = this.#value(field.type, value, place);
    return field.omitEmpty && !field.pointer && isEmpty(field.type, read) ? undefined : read;
  }

  #value(type: FieldType, value: Json, place: Place): Json {
    if (value === null) return this.#zero(type, place);
    switch (type.kind) {
      case 'leaf': {
        const read = readLeaf(type.leaf, value);
        if ('value' in read) return read.value;
        throw 'mismatch' in read ? mismatch(read.mismatch, place, type) : new TypeMismatch(read.error);
      }
      case 'object':
        if (!isObject(value)) throw mismatch(jsonKind(value), place, type);
        return this.object(knownSchema(type.name), value, place);
      case 'list':
        if (!isList(value)) throw mismatch(jsonKind(value), place, type);
        return value.map((item, at) =>
          this.#value(type.of, item, { ...place, path: `${place.path}[${at}]` }),
        );
      case 'map':
        if (!isObject(value)) throw mismatch(jsonKind(value), place, type);
        return Object.fromEntries(
          Object.entries(value).map(([key, item]) => [
            key,
            this.#value(type.of, item, { ...place, path: join(place.path, key) }),
          ]),
        );
    }
  }

  #zero(type: FieldType, place: Place): Json {
    if (type.kind === 'leaf') return zeroOf(type.leaf);
    return type.kind === 'object' ? this.object(knownSchema(type.name), {}, place) : null;
  }
}

function isEmpty(type: FieldType, value: Json): boolean {
  if (type.kind === 'leaf') return isEmptyLeaf(type.leaf, value);
  if (type.kind === 'list') return isList(value) && value.length === 0;
  return type.kind === 'map' && isObject(value) && Object.keys(value).length === 0;
}

/** The decoded object and the paths of names that no field has. Throws {@link TypeMismatch} at the first wrong value. */
export function decodeStruct(
  schema: TypeSchema,
  value: Json,
): { readonly object: JsonObject; readonly unknown: readonly string[] } {
  const place = { path: '', stack: '', struct: '' };
  if (!isObject(value)) {
    throw mismatch(jsonKind(value), place, {
      kind: 'object',
      name: schema.name,
      go: schema.name.split('.').slice(-2).join('.'),
    });
  }
  const decoder = new Decoder();
  const object = decoder.object(schema, value, place);
  return { object, unknown: decoder.unknown };
}
