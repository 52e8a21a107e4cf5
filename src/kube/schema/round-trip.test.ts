/**
 * Random objects of every served kind, made from the schema itself, through each format and back. The protobuf encoder here is
 * protobufjs over descriptors built from the same table, so it shares field numbers with the decoder but no code.
 */
import fc from 'fast-check';
import protobuf from 'protobufjs';
import { describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { ALL_RESOURCES, apiVersionOf, type Resource } from '../resources.ts';
import { isList, isObject, type Json, type JsonObject } from './json.ts';
import {
  type Field,
  type FieldType,
  knownSchema,
  type Leaf,
  schemaOfKind,
  type TypeSchema,
} from './model.ts';
import { decodeBody, decodeObject } from './schema.ts';

const word = fc.string({ maxLength: 6 });
const LEAVES: Readonly<Record<Leaf, fc.Arbitrary<Json>>> = {
  string: fc.oneof(word, fc.constantFrom('on', '0x10', '2026-01-02', 'null', '1e3', '')),
  bool: fc.boolean(),
  int32: fc.integer(),
  int64: fc.maxSafeInteger(),
  bytes: fc.base64String({ maxLength: 8 }),
  time: fc
    .date({ min: new Date(1000), max: new Date('2100-01-01'), noInvalidDate: true })
    .map((date) => `${date.toISOString().slice(0, 19)}Z`),
  microTime: fc
    .tuple(
      fc.date({ min: new Date(1000), max: new Date('2100-01-01'), noInvalidDate: true }),
      fc.nat({ max: 999_999 }),
    )
    .map(([date, micros]) => `${date.toISOString().slice(0, 19)}.${String(micros).padStart(6, '0')}Z`),
  quantity: fc.constantFrom('1', '500m', '2Gi', '1e3', '-3', '0.5', '1024Ki', '0'),
  intOrString: fc.oneof(fc.integer(), word),
  raw: fc.dictionary(word, word, { minKeys: 1, maxKeys: 2, noNullPrototype: true }),
  fieldsV1: fc.constant({ 'f:spec': { 'f:ports': {} } }),
  any: fc.constant('x'),
};

function arbitraryOf(type: FieldType, depth: number): fc.Arbitrary<Json> {
  switch (type.kind) {
    case 'leaf':
      return LEAVES[type.leaf];
    case 'object':
      return objectOf(knownSchema(type.name), depth - 1);
    case 'list':
      // Not empty: protobuf cannot tell an empty list from none.
      return fc.array(arbitraryOf(type.of, depth), { minLength: 1, maxLength: 2 });
    case 'map':
      return fc.dictionary(word, arbitraryOf(type.of, depth), {
        minKeys: 1,
        maxKeys: 2,
        noNullPrototype: true,
      });
  }
}

/** Fields that have a protobuf number, each there or not; types nest until `depth` is used up. */
function objectOf(schema: TypeSchema, depth: number): fc.Arbitrary<JsonObject> {
  const reaches = (type: FieldType): boolean =>
    type.kind === 'leaf' || (type.kind === 'object' ? depth > 0 : reaches(type.of));
  const fields = [...schema.fields.values()].filter(
    (field) => field.numbers.length > 0 && reaches(field.type),
  );
  return fc.subarray(fields, { maxLength: Math.min(6, fields.length) }).chain((some) => {
    const model = Object.fromEntries(some.map((field) => [field.name, arbitraryOf(field.type, depth)]));
    return fc.record<JsonObject>(model, { noNullPrototype: true });
  });
}

const SCALARS: Readonly<Partial<Record<Leaf, string>>> = {
  string: 'string',
  bool: 'bool',
  int32: 'int32',
  int64: 'int64',
  bytes: 'bytes',
};

/** Messages named as the types are, plus those of the leaves that are no scalars. */
class Messages {
  readonly #root = protobuf.parse(`syntax = "proto2";
    message time { optional int64 seconds = 1; optional int32 nanos = 2; }
    message quantity { optional string text = 1; }
    message intOrString { optional int64 type = 1; optional int32 int = 2; optional string string = 3; }
    message raw { optional bytes json = 1; }
    message typeMeta { optional string apiVersion = 1; optional string kind = 2; }
    message unknown { optional typeMeta typeMeta = 1; optional bytes raw = 2; }`).root;

  #name(type: FieldType): string {
    if (type.kind === 'object') return this.of(knownSchema(type.name)).name;
    if (type.kind !== 'leaf') throw new TypeError('no list of lists');
    const { leaf } = type;
    return SCALARS[leaf] ?? (leaf === 'microTime' ? 'time' : leaf === 'fieldsV1' ? 'raw' : leaf);
  }

  #field(field: Field, number: number): protobuf.Field | protobuf.MapField {
    const { type } = field;
    if (type.kind === 'map') return new protobuf.MapField(field.name, number, 'string', this.#name(type.of));
    if (type.kind === 'list') return new protobuf.Field(field.name, number, this.#name(type.of), 'repeated');
    return new protobuf.Field(field.name, number, this.#name(type), 'optional');
  }

  of(schema: TypeSchema): protobuf.Type {
    const name = schema.name.replaceAll('.', '_');
    const known = this.#root.get(name);
    if (known instanceof protobuf.Type) return known;
    const type = new protobuf.Type(name);
    this.#root.add(type);
    const embedded = new Map<number, protobuf.Type>();
    for (const field of schema.fields.values()) {
      const [number, inner] = field.numbers;
      if (number === undefined) continue;
      if (inner === undefined) type.add(this.#field(field, number));
      else {
        const holder = embedded.get(number) ?? new protobuf.Type(`${name}_${number}`);
        if (!embedded.has(number)) {
          embedded.set(number, holder);
          this.#root.add(holder);
          type.add(new protobuf.Field(`embedded_${number}`, number, holder.name, 'optional'));
        }
        holder.add(this.#field(field, inner));
      }
    }
    return type;
  }

  #leaf(leaf: Leaf, value: Json): unknown {
    if (leaf === 'bytes') return Buffer.from(String(value), 'base64');
    if (leaf === 'quantity') return { text: value };
    if (leaf === 'intOrString')
      return typeof value === 'number' ? { type: 0, int: value } : { type: 1, string: value };
    if (leaf === 'raw' || leaf === 'fieldsV1') return { json: Buffer.from(JSON.stringify(value)) };
    if (leaf === 'time' || leaf === 'microTime') {
      const [, fraction = '0'] = /\.(\d+)Z$/.exec(String(value)) ?? [];
      return { seconds: Math.floor(Date.parse(String(value)) / 1000), nanos: Number(fraction) * 1000 };
    }
    return value;
  }

  #value(type: FieldType, value: Json): unknown {
    if (type.kind === 'leaf') return this.#leaf(type.leaf, value);
    if (type.kind === 'object') return this.#object(knownSchema(type.name), isObject(value) ? value : {});
    if (type.kind === 'list') return (isList(value) ? value : []).map((item) => this.#value(type.of, item));
    const members = Object.entries(isObject(value) ? value : {});
    return Object.fromEntries(members.map(([key, item]) => [key, this.#value(type.of, item)]));
  }

  #object(schema: TypeSchema, value: JsonObject): Record<string, unknown> {
    const out: Record<string, Record<string, unknown> | unknown> = {};
    for (const field of schema.fields.values()) {
      const member = value[field.name];
      const [number, inner] = field.numbers;
      if (member === undefined || number === undefined) continue;
      const written = this.#value(field.type, member);
      if (inner === undefined) out[field.name] = written;
      else out[`embedded_${number}`] = { ...(out[`embedded_${number}`] as object), [field.name]: written };
    }
    return out;
  }

  encode(resource: Resource, value: JsonObject): Uint8Array {
    const schema = knownSchema(schemaOfKind(resource)?.name ?? '');
    const raw = this.of(schema).encode(this.#object(schema, value)).finish();
    const typeMeta = { apiVersion: apiVersionOf(resource), kind: resource.kind };
    const unknown = this.#root.lookupType('unknown').encode({ typeMeta, raw }).finish();
    return Buffer.concat([Buffer.from('k8s\0'), unknown]);
  }
}

const messages = new Messages();
const bytesOf = (text: string) => new TextEncoder().encode(text);

describe.each(ALL_RESOURCES.map((resource) => [resource.plural, resource] as const))(
  '%s',
  (_plural, resource) => {
    const objects = objectOf(knownSchema(schemaOfKind(resource)?.name ?? ''), 6);
    const decoded = (value: JsonObject) => decodeObject(resource, value, 'Strict').object;

    it('survive protobuf, JSON and YAML, and decode to what decodes to itself', () => {
      fc.assert(
        fc.property(objects, (value) => {
          const object = decoded(value);
          expect(decoded(object)).toEqual(object);
          expect(
            decodeBody(resource, bytesOf(JSON.stringify(value)), 'application/json', 'Strict').object,
          ).toEqual(object);
          const yaml = stringify(value, { version: '1.1' });
          expect(decodeBody(resource, bytesOf(yaml), 'application/yaml', 'Strict').object).toEqual(object);
          const proto = messages.encode(resource, value);
          expect(decodeBody(resource, proto, 'application/vnd.kubernetes.protobuf', 'Strict').object).toEqual(
            object,
          );
        }),
        { numRuns: 60 },
      );
    });

    it('never crash the decoder with broken protobuf', () => {
      fc.assert(
        fc.property(objects, fc.nat(), fc.nat({ max: 255 }), (value, at, byte) => {
          const proto = messages.encode(resource, value);
          proto[4 + (at % (proto.length - 4))] = byte;
          try {
            decodeBody(resource, proto, 'application/vnd.kubernetes.protobuf', 'Strict');
          } catch (error) {
            expect(error).toMatchObject({ name: 'RequestProblem', code: 400 });
          }
        }),
        { numRuns: 60 },
      );
    });
  },
);
