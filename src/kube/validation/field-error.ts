import type { Status } from '../objects.ts';
import type { Resource } from '../resources.ts';

/**
 * What a validator says of one field, in the words of k8s.io/apimachinery/pkg/util/validation/field, because kubectl's
 * users and their scripts know these words.
 *
 * @example textOf(invalid('spec.ports[0].port', 0, 'must be between 1 and 65535, inclusive'))
 *   // spec.ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive
 */
export interface FieldError {
  readonly type: FieldErrorType;
  /** As upstream writes paths: `spec.ports[0].nodePort`, `data[key]`. */
  readonly field: string;
  readonly badValue?: unknown;
  readonly detail: string;
}

export type FieldErrorType = keyof typeof REASONS;

/** The machine-readable reason of each type (metav1.CauseType), which a Status carries in its causes. */
const REASONS = {
  'Required value': 'FieldValueRequired',
  'Invalid value': 'FieldValueInvalid',
  'Duplicate value': 'FieldValueDuplicate',
  'Unsupported value': 'FieldValueNotSupported',
  'Not found': 'FieldValueNotFound',
  Forbidden: 'FieldValueForbidden',
  'Too long': 'FieldValueTooLong',
  'Too many': 'FieldValueTooMany',
} as const;

/** Types that say nothing of the value: it is missing, must not be there, or is too big to print. */
const SILENT: ReadonlySet<FieldErrorType> = new Set(['Required value', 'Forbidden', 'Too long']);

export const required = (field: string, detail = ''): FieldError => ({
  type: 'Required value',
  field,
  detail,
});

export const invalid = (field: string, badValue: unknown, detail: string): FieldError => ({
  type: 'Invalid value',
  field,
  badValue,
  detail,
});

export const duplicate = (field: string, badValue: unknown): FieldError => ({
  type: 'Duplicate value',
  field,
  badValue,
  detail: '',
});

export const forbidden = (field: string, detail: string): FieldError => ({
  type: 'Forbidden',
  field,
  detail,
});

/** A value outside a closed set; `supported` is listed as upstream lists it, in the order given. */
export const notSupported = (field: string, badValue: unknown, supported: readonly string[]): FieldError => ({
  type: 'Unsupported value',
  field,
  badValue,
  detail: `supported values: ${supported.map((one) => JSON.stringify(one)).join(', ')}`,
});

export const notFound = (field: string, badValue: unknown): FieldError => ({
  type: 'Not found',
  field,
  badValue,
  detail: '',
});

export const tooLong = (field: string, maxBytes: number): FieldError => ({
  type: 'Too long',
  field,
  detail: `may not be more than ${maxBytes} bytes`,
});

export const tooMany = (field: string, actual: number, max: number): FieldError => ({
  type: 'Too many',
  field,
  badValue: actual,
  detail: `must have at most ${max} items`,
});

/** `Invalid value: 0: must be between 1 and 65535, inclusive`: the message of a Status cause, without the field. */
export function bodyOf(error: FieldError): string {
  const value = SILENT.has(error.type) ? '' : `: ${printed(error.badValue)}`;
  return `${error.type}${value}${error.detail === '' ? '' : `: ${error.detail}`}`;
}

/** One error as one line, with its field. */
export const textOf = (error: FieldError): string => `${error.field}: ${bodyOf(error)}`;

/** Strings quoted, scalars bare, and since Kubernetes 1.34 structures as JSON (before: Go syntax). */
const printed = (value: unknown): string => (value === undefined ? 'null' : JSON.stringify(value));

/**
 * The answer to an object that does not validate: HTTP 422 with a cause a field. kubectl prints it as
 * `The Service "x" is invalid: spec.ports: Required value`.
 *
 * @param errors at least one; repeated messages are said once, as upstream does.
 */
export function toStatus(resource: Resource, name: string, errors: readonly FieldError[]): Status {
  const texts = [...new Set(errors.map(textOf))];
  const said = texts.length === 1 ? texts[0] : `[${texts.join(', ')}]`;
  const kind = resource.group === '' ? resource.kind : `${resource.kind}.${resource.group}`;
  return {
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Failure',
    message: `${kind} ${JSON.stringify(name)} is invalid: ${said}`,
    reason: 'Invalid',
    details: {
      name,
      ...(resource.group === '' ? {} : { group: resource.group }),
      kind: resource.kind,
      causes: errors.map((error) => ({
        reason: REASONS[error.type],
        message: bodyOf(error),
        field: error.field,
      })),
    },
    code: 422,
  };
}
