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
import type { ValidationContext } from './context.ts';
import type { FieldError } from './field-error.ts';
import { checkObjectMeta, checkObjectMetaUpdate } from './object-meta.ts';
import { rulesOf } from './rules.ts';

export type { ValidationContext } from './context.ts';
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

/** What is wrong with an object about to be created; `metadata.name` is already generated. */
export function validateCreate(
  resource: Resource,
  object: KubeObject,
  context: ValidationContext = {},
): readonly FieldError[] {
  const rules = rulesOf(resource);
  return [
    ...checkObjectMeta(object.metadata ?? {}, resource.namespaced, rules.name),
    ...(rules.create?.(object, context) ?? []),
  ];
}

/**
 * What is wrong with replacing `old` by `object`. Through a subresource, only that part is looked at: the API server has
 * taken the rest from `old`.
 */
export function validateUpdate(
  resource: Resource,
  object: KubeObject,
  old: KubeObject,
  context: ValidationContext = {},
): readonly FieldError[] {
  const rules = rulesOf(resource);
  const meta = checkObjectMetaUpdate(object.metadata ?? {}, old.metadata ?? {});
  if (context.subresource !== undefined) {
    return [...meta, ...(rules.subresources?.[context.subresource]?.(object) ?? [])];
  }
  return [...meta, ...(rules.update?.(object, old, context) ?? [])];
}
