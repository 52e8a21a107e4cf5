import { type FieldError, invalid } from './field-error.ts';

/**
 * Whether two values mean the same on the wire: absent, null, and empty maps and lists are equal, as in upstream's
 * apiequality.Semantic.
 */
export function same(left: unknown, right: unknown): boolean {
  if (left === right || (isEmpty(left) && isEmpty(right))) return true;
  if (Array.isArray(left) && Array.isArray(right)) {
    return left.length === right.length && left.every((one, at) => same(one, right[at]));
  }
  if (!isMap(left) || !isMap(right)) return false;
  return [...new Set([...Object.keys(left), ...Object.keys(right)])].every((key) =>
    same(left[key], right[key]),
  );
}

const isMap = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const isEmpty = (value: unknown): boolean =>
  value === undefined ||
  value === null ||
  (Array.isArray(value) && value.length === 0) ||
  (isMap(value) && Object.keys(value).length === 0);

export const IMMUTABLE = 'field is immutable';

/** The field keeps the value it was created with. */
export const checkImmutable = (field: string, value: unknown, old: unknown): FieldError[] =>
  same(value, old) ? [] : [invalid(field, value, IMMUTABLE)];
