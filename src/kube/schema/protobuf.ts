/**
 * Protobuf request bodies: the magic `k8s\0`, a runtime.Unknown that names the kind, and the object's own message
 * (apimachinery pkg/runtime/serializer/protobuf). The messages are walked along the schema model; answers stay JSON.
 */
import { Reader } from 'protobufjs/minimal.js';
import type { Json, JsonObject } from './json.ts';
import {
  type Field,
  type FieldType,
  knownSchema,
  parseApiVersion,
  schemaOfKind,
  type TypeSchema,
} from './model.ts';
import { RequestProblem } from './problem.ts';

const MAGIC = [0x6b, 0x38, 0x73, 0x00];

type Mutable = { [name: string]: Json };
type ReadField = (into: Mutable, reader: Reader, wire: number) => void;
type ReadMessage = ReadonlyMap<number, ReadField>;

/** Reads the fields of a message up to its end; fields of a newer schema are skipped, as a Go server skips them. */
function readMessage(reader: Reader, fields: ReadMessage, end: number): JsonObject {
  const out: Mutable = {};
  while (reader.pos < end) {
    const tag = reader.uint32();
    const read = fields.get(tag >>> 3);
    if (read === undefined) reader.skipType(tag & 7);
    else read(out, reader, tag & 7);
  }
  return out;
}

function nested<T>(reader: Reader, read: (end: number) => T): T {
  const length = reader.uint32();
  return read(reader.pos + length);
}

const number64 = (value: { toString(): string } | number): number => Number(value.toString());

const utf8 = new TextDecoder();

/** Time, MicroTime and Timestamp: seconds = 1, nanos = 2. An empty message is the zero time, which JSON writes as null. */
function readTime(reader: Reader, micro: boolean): Json {
  const value = nested(reader, (end) => readMessage(reader, TIME, end));
  const { seconds = 0, nanos = 0 } = value;
  if (typeof seconds !== 'number' || typeof nanos !== 'number' || (seconds === 0 && nanos === 0)) return null;
  const text = new Date(seconds * 1000).toISOString().slice(0, 19);
  return micro ? `${text}.${String(Math.floor(nanos / 1000)).padStart(6, '0')}Z` : `${text}Z`;
}

const set =
  (name: string, read: (reader: Reader) => Json): ReadField =>
  (into, reader) => {
    into[name] = read(reader);
  };

const readString = (reader: Reader): Json => reader.string();
const readInt64 = (reader: Reader): Json => number64(reader.int64());
const readRaw = (reader: Reader): Json => {
  const bytes = reader.bytes();
  return bytes.length === 0 ? null : (JSON.parse(utf8.decode(bytes)) as Json);
};

const TIME: ReadMessage = new Map([
  [1, set('seconds', readInt64)],
  [2, set('nanos', (reader) => reader.int32())],
]);
const ONE_STRING: ReadMessage = new Map([[1, set('value', readString)]]);
const ONE_RAW: ReadMessage = new Map([[1, set('value', readRaw)]]);
const INT_OR_STRING: ReadMessage = new Map([
  [1, set('type', readInt64)],
  [2, set('int', (reader) => reader.int32())],
  [3, set('string', readString)],
]);

function base64(bytes: Uint8Array): string {
  let binary = '';
  for (const byte of bytes) binary += String.fromCharCode(byte);
  return btoa(binary);
}

function readLeaf(reader: Reader, type: FieldType & { kind: 'leaf' }): Json {
  switch (type.leaf) {
    case 'string':
      return reader.string();
    case 'bool':
      return reader.bool();
    case 'int32':
      return reader.int32();
    case 'int64':
      return readInt64(reader);
    case 'bytes':
      return base64(reader.bytes());
    case 'time':
    case 'microTime':
      return readTime(reader, type.leaf === 'microTime');
    case 'quantity':
      return nested(reader, (end) => readMessage(reader, ONE_STRING, end)).value ?? '0';
    case 'intOrString': {
      const {
        type: kind = 0,
        int = 0,
        string = '',
      } = nested(reader, (end) => readMessage(reader, INT_OR_STRING, end));
      return kind === 1 ? string : int;
    }
    case 'raw':
    case 'fieldsV1':
      return nested(reader, (end) => readMessage(reader, ONE_RAW, end)).value ?? null;
    case 'any':
      throw new TypeError('a field of any JSON value has no protobuf form');
  }
}

function readValue(reader: Reader, type: FieldType): Json {
  switch (type.kind) {
    case 'leaf':
      return readLeaf(reader, type);
    case 'object':
      return nested(reader, (end) => readMessage(reader, messageOf(knownSchema(type.name)), end));
    case 'list':
      // A list inside a map is a message of its own with `items` = 1 (authentication/v1 ExtraValue).
      return (
        nested(reader, (end) => readMessage(reader, new Map([[1, repeated('items', type.of)]]), end)).items ??
        []
      );
    case 'map':
      throw new TypeError('maps are repeated entries, not values');
  }
}

/** Repeated scalars come one by one or packed; the gogo encoder of Go clients writes them one by one. */
const repeated =
  (name: string, type: FieldType): ReadField =>
  (into, reader, wire) => {
    const before = into[name];
    const items = Array.isArray(before) ? before : [];
    const packed = wire === 2 && type.kind === 'leaf' && ['bool', 'int32', 'int64'].includes(type.leaf);
    const read = packed
      ? nested(reader, (end) => {
          const all: Json[] = [];
          while (reader.pos < end) all.push(readValue(reader, type));
          return all;
        })
      : [readValue(reader, type)];
    into[name] = [...items, ...read];
  };

const entry =
  (name: string, type: FieldType): ReadField =>
  (into, reader) => {
    const fields: ReadMessage = new Map([
      [1, set('key', readString)],
      [2, set('value', (one) => readValue(one, type))],
    ]);
    const { key = '', value = zeroIn(type) } = nested(reader, (end) => readMessage(reader, fields, end));
    const before = into[name];
    into[name] = { ...(typeof before === 'object' ? (before as JsonObject) : {}), [String(key)]: value };
  };

const zeroIn = (type: FieldType): Json => (type.kind === 'object' ? {} : type.kind === 'list' ? [] : '');

function readerOf(field: Field): ReadField {
  if (field.type.kind === 'list') return repeated(field.name, field.type.of);
  if (field.type.kind === 'map') return entry(field.name, field.type.of);
  return set(field.name, (reader) => readValue(reader, field.type));
}

const messages = new WeakMap<TypeSchema, ReadMessage>();

/** The message of a type. Fields of an embedded message are read from it and stand beside the others. */
function messageOf(schema: TypeSchema): ReadMessage {
  const known = messages.get(schema);
  if (known !== undefined) return known;
  const fields = new Map<number, ReadField>();
  const embedded = new Map<number, Map<number, ReadField>>();
  for (const field of schema.fields.values()) {
    const [number, inner] = field.numbers;
    if (number === undefined) continue;
    if (inner === undefined) fields.set(number, readerOf(field));
    else
      embedded.set(
        number,
        (embedded.get(number) ?? new Map<number, ReadField>()).set(inner, readerOf(field)),
      );
  }
  for (const [number, inner] of embedded) {
    fields.set(number, (into, reader) => {
      Object.assign(
        into,
        nested(reader, (end) => readMessage(reader, inner, end)),
      );
    });
  }
  messages.set(schema, fields);
  return fields;
}

const TYPE_META: ReadMessage = new Map([
  [1, set('apiVersion', readString)],
  [2, set('kind', readString)],
]);

/** runtime.Unknown: typeMeta = 1, raw = 2 (kept as the range of its bytes). */
function readUnknown(bytes: Uint8Array): { apiVersion: string; kind: string; raw: Uint8Array } {
  const reader = Reader.create(bytes.subarray(MAGIC.length));
  let raw = new Uint8Array();
  const fields: ReadMessage = new Map<number, ReadField>([
    [1, set('typeMeta', (one) => nested(one, (end) => readMessage(one, TYPE_META, end)))],
    [
      2,
      (_into, one) => {
        raw = Uint8Array.from(one.bytes());
      },
    ],
  ]);
  const { typeMeta = {} } = readMessage(reader, fields, reader.len);
  const { apiVersion = '', kind = '' } = typeMeta as JsonObject;
  return { apiVersion: String(apiVersion), kind: String(kind), raw };
}

/**
 * The object of a protobuf body, with apiVersion and kind, as JSON would have it but for zero values, which
 * {@link decodeObject} drops. Throws BadRequest for a body without the magic, an unknown kind, or a broken message.
 *
 * @example decodeProtobuf(body) // { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'a', … }, … }
 */
export function decodeProtobuf(bytes: Uint8Array): JsonObject {
  if (!MAGIC.every((byte, at) => bytes[at] === byte)) {
    throw new RequestProblem(
      'BadRequest',
      'provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]',
    );
  }
  const { apiVersion, kind, raw } = orRefused(() => readUnknown(bytes));
  const schema = schemaOfKind({ ...parseApiVersion(apiVersion), kind });
  if (schema === undefined) {
    throw new RequestProblem('BadRequest', `no kind "${kind}" is registered for version "${apiVersion}"`);
  }
  const reader = Reader.create(raw);
  return { apiVersion, kind, ...orRefused(() => readMessage(reader, messageOf(schema), reader.len)) };
}

/** Whatever stops the walk through a message, protobufjs or a value out of its range, is the message's fault. */
function orRefused<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw new RequestProblem('BadRequest', `the protobuf body cannot be read: ${String(error)}`, [], {
      cause: error,
    });
  }
}
