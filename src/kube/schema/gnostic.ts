/**
 * A Swagger 2.0 document as the protobuf message openapi.v2.Document of gnostic, which kubectl before 1.29 reads. Only what
 * our documents hold is written; extensions travel as YAML text, and JSON is YAML.
 */
import { Writer } from 'protobufjs/minimal.js';
import { isList, isObject, type Json, type JsonObject } from './json.ts';

type Write = (writer: Writer, field: number, value: Json) => void;

/** How each name of a JSON object is written: its field number and its writer. `x-` names go to `extensions`. */
interface Message {
  readonly fields: Readonly<Record<string, readonly [number, Write]>>;
  readonly extensions?: number;
}

const BYTES = 2;
const tag = (field: number, wire: number): number => (field << 3) | wire;

const text: Write = (writer, field, value) => {
  writer.uint32(tag(field, BYTES)).string(String(value));
};
const flag: Write = (writer, field, value) => {
  writer.uint32(tag(field, 0)).bool(value === true);
};
const each =
  (write: Write): Write =>
  (writer, field, value) => {
    for (const item of isList(value) ? value : []) write(writer, field, item);
  };

/** A message whose content `fill` writes. */
function block(writer: Writer, field: number, fill: (inner: Writer) => void): void {
  writer.uint32(tag(field, BYTES)).fork();
  fill(writer);
  writer.ldelim();
}

/** gnostic's Any: yaml = 2. */
const any: Write = (writer, field, value) =>
  block(writer, field, (inner) => text(inner, 2, JSON.stringify(value)));

/** A message by table, looked up late because schemas nest. */
const message =
  (table: () => Message): Write =>
  (writer, field, value) =>
    block(writer, field, (inner) => writeMembers(inner, table(), value));

/** A message that holds the value in one field of its own, e.g. TypeItem { value }. */
const inside =
  (number: number, write: Write): Write =>
  (writer, field, value) =>
    block(writer, field, (inner) => write(inner, number, value));

/** An object as repeated pairs of name = 1 and value = 2. */
const pairs =
  (write: Write): Write =>
  (writer, field, value) => {
    for (const [name, member] of Object.entries(isObject(value) ? value : {})) {
      block(writer, field, (inner) => {
        text(inner, 1, name);
        write(inner, 2, member);
      });
    }
  };

function writeMembers(writer: Writer, { fields, extensions }: Message, value: Json): void {
  for (const [name, member] of Object.entries(isObject(value) ? value : {})) {
    const known = fields[name];
    if (known !== undefined) known[1](writer, known[0], member);
    else if (extensions !== undefined && name.startsWith('x-')) {
      pairs(any)(writer, extensions, { [name]: member });
    } else throw new TypeError(`gnostic.ts knows no field ${name}`);
  }
}

const SCHEMA: Message = {
  fields: {
    $ref: [1, text],
    format: [2, text],
    description: [4, text],
    default: [5, any],
    required: [19, each(text)],
    additionalProperties: [
      21,
      inside(
        1,
        message(() => SCHEMA),
      ),
    ],
    type: [22, inside(1, text)],
    items: [
      23,
      inside(
        1,
        message(() => SCHEMA),
      ),
    ],
    properties: [25, inside(1, pairs(message(() => SCHEMA)))],
  },
  extensions: 31,
};

const BODY_PARAMETER: Message = {
  fields: { name: [2, text], in: [3, text], required: [4, flag], schema: [5, message(() => SCHEMA)] },
};
const QUERY_PARAMETER: Message = {
  fields: {
    in: [2, text],
    description: [3, text],
    name: [4, text],
    type: [6, text],
    uniqueItems: [20, flag],
  },
};
const PATH_PARAMETER: Message = {
  fields: {
    required: [1, flag],
    in: [2, text],
    description: [3, text],
    name: [4, text],
    type: [5, text],
    uniqueItems: [19, flag],
  },
};

/** ParametersItem { parameter = 1 }, Parameter { body = 1 | other = 2 }, NonBodyParameter { query = 3 | path = 4 }. */
const parameter: Write = (writer, field, value) => {
  const where = isObject(value) ? value.in : undefined;
  const nonBody =
    where === 'path'
      ? inside(
          4,
          message(() => PATH_PARAMETER),
        )
      : inside(
          3,
          message(() => QUERY_PARAMETER),
        );
  inside(
    1,
    where === 'body'
      ? inside(
          1,
          message(() => BODY_PARAMETER),
        )
      : inside(2, nonBody),
  )(writer, field, value);
};

const RESPONSE: Message = {
  fields: {
    description: [1, text],
    schema: [
      2,
      inside(
        1,
        message(() => SCHEMA),
      ),
    ],
  },
};

const OPERATION: Message = {
  fields: {
    description: [3, text],
    operationId: [5, text],
    produces: [6, each(text)],
    consumes: [7, each(text)],
    parameters: [8, each(parameter)],
    responses: [
      9,
      inside(
        1,
        pairs(
          inside(
            1,
            message(() => RESPONSE),
          ),
        ),
      ),
    ],
  },
  extensions: 13,
};

const operation = message(() => OPERATION);

const PATH_ITEM: Message = {
  fields: {
    get: [2, operation],
    put: [3, operation],
    post: [4, operation],
    delete: [5, operation],
    patch: [8, operation],
    parameters: [9, each(parameter)],
  },
};

const DOCUMENT: Message = {
  fields: {
    swagger: [1, text],
    info: [2, message(() => ({ fields: { title: [1, text], version: [2, text] } }))],
    paths: [8, inside(2, pairs(message(() => PATH_ITEM)))],
    definitions: [9, inside(1, pairs(message(() => SCHEMA)))],
  },
};

/** Throws where the document holds what this table does not know: better no document than one with holes. */
export function encodeDocument(document: JsonObject): Uint8Array {
  const writer = Writer.create();
  writeMembers(writer, DOCUMENT, document);
  return writer.finish();
}
