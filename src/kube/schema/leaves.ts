/**
 * Leaf values as Go's encoding/json and apimachinery read and write them: what they accept, the canonical form they store,
 * and the words of their errors.
 */
import { canonicalQuantity, QUANTITY_MESSAGE } from '../quantity.ts';
import { type Json, jsonKind } from './json.ts';
import type { Leaf } from './model.ts';

/** A leaf is read as a value, refused because its JSON type is another, or refused in words of its own. */
export type Read = { readonly value: Json } | { readonly mismatch: string } | { readonly error: string };

const RANGES = { int32: 2n ** 31n, int64: 2n ** 63n } as const;

function readInteger(leaf: 'int32' | 'int64', value: Json): Read {
  if (typeof value !== 'number') return { mismatch: jsonKind(value) };
  const limit = RANGES[leaf];
  if (!Number.isInteger(value) || BigInt(value) >= limit || BigInt(value) < -limit)
    return { mismatch: `number ${value}` };
  return { value };
}

const goValue = (value: Json, type: string): Read => ({
  error: `json: cannot unmarshal ${jsonKind(value)} into Go value of type ${type}`,
});

const RFC3339 = /^\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)$/;

/** Seconds for Time, microseconds for MicroTime, always in UTC. */
function readTime(value: Json, micro: boolean): Read {
  if (typeof value !== 'string') return goValue(value, 'string');
  const layout = micro ? '2006-01-02T15:04:05.000000Z07:00' : '2006-01-02T15:04:05Z07:00';
  const [, fraction = ''] = RFC3339.exec(value) ?? [];
  const time = RFC3339.test(value) ? Date.parse(value.replace(fraction, '')) : Number.NaN;
  if (Number.isNaN(time))
    return { error: `parsing time ${JSON.stringify(value)} as ${JSON.stringify(layout)}: cannot parse` };
  const seconds = new Date(time).toISOString().slice(0, 19);
  return { value: micro ? `${seconds}.${fraction.slice(1, 7).padEnd(6, '0')}Z` : `${seconds}Z` };
}

/** Go's base64.StdEncoding: padded, line breaks ignored. */
function readBytes(value: Json): Read {
  if (typeof value !== 'string') return { mismatch: jsonKind(value) };
  const text = value.replace(/[\r\n]/g, '');
  const bad = text.replace(/={1,2}$/, '').search(/[^A-Za-z0-9+/]/);
  if (bad >= 0 || text.length % 4 !== 0) {
    return { error: `illegal base64 data at input byte ${bad >= 0 ? bad : text.length - (text.length % 4)}` };
  }
  // Bits past the last byte are lost where bytes are stored.
  return { value: text.endsWith('=') ? text.slice(0, -4) + btoa(atob(text.slice(-4))) : text };
}

/** A bare number is a quantity too. */
function readQuantity(value: Json): Read {
  const canonical =
    typeof value === 'string' || typeof value === 'number' ? canonicalQuantity(String(value)) : undefined;
  return canonical === undefined ? { error: QUANTITY_MESSAGE } : { value: canonical };
}

function readIntOrString(value: Json): Read {
  if (typeof value === 'string') return { value };
  const read = readInteger('int32', value);
  return 'mismatch' in read
    ? { error: `json: cannot unmarshal ${read.mismatch} into Go value of type int32` }
    : read;
}

/** Reads one leaf; null is the caller's to handle. */
export function readLeaf(leaf: Leaf, value: Json): Read {
  switch (leaf) {
    case 'string':
      return typeof value === 'string' ? { value } : { mismatch: jsonKind(value) };
    case 'bool':
      return typeof value === 'boolean' ? { value } : { mismatch: jsonKind(value) };
    case 'int32':
    case 'int64':
      return readInteger(leaf, value);
    case 'bytes':
      return readBytes(value);
    case 'time':
      return readTime(value, false);
    case 'microTime':
      return readTime(value, true);
    case 'quantity':
      return readQuantity(value);
    case 'intOrString':
      return readIntOrString(value);
    case 'raw':
    case 'fieldsV1':
    case 'any':
      return { value };
  }
}

const ZEROES: ReadonlySet<Leaf> = new Set<Leaf>(['string', 'bool', 'int32', 'int64', 'bytes']);

/** Whether omitempty leaves the value out. Structs such as Quantity and Time never count as empty. */
export const isEmptyLeaf = (leaf: Leaf, value: Json): boolean =>
  ZEROES.has(leaf) && (value === '' || value === 0 || value === false);

/** The value of a null that stands in a list or a map, where Go leaves the zero value. */
export function zeroOf(leaf: Leaf): Json {
  if (leaf === 'bool') return false;
  if (leaf === 'int32' || leaf === 'int64' || leaf === 'intOrString') return 0;
  if (leaf === 'string') return '';
  if (leaf === 'quantity') return '0';
  return null;
}
