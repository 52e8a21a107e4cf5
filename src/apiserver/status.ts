/**
 * Answers that are no success, as upstream's k8s.io/apimachinery/pkg/api/errors makes them: same HTTP status, reason,
 * details and wording, because clients and people match on them.
 */
import type { Status } from '../kube/objects.ts';
import type { Resource } from '../kube/resources.ts';

export interface Cause {
  readonly reason: string;
  readonly message: string;
  readonly field: string;
}

type Details = NonNullable<Status['details']>;

/** An answer other than success. Thrown anywhere below a handler; the server writes `status` as the body. */
export class StatusError extends Error {
  override readonly name = 'StatusError';
  readonly status: Status;

  constructor(code: number, reason: string, message: string, details?: Details) {
    super(message);
    this.status = {
      kind: 'Status',
      apiVersion: 'v1',
      metadata: {},
      status: 'Failure',
      message,
      ...(reason === '' ? {} : { reason }),
      ...(details === undefined ? {} : { details }),
      code,
    };
  }

  /** The same as an error, for a Status that was made elsewhere. */
  static from(status: Status): StatusError {
    return new StatusError(status.code ?? 500, status.reason ?? '', status.message ?? '', status.details);
  }

  get code(): number {
    return this.status.code ?? 500;
  }
}

/** What an error is about: `group` and `plural` of a Resource, or of something without one. */
export type About = Pick<Resource, 'group' | 'plural'>;

const qualified = (about: About): string =>
  about.group === '' ? about.plural : `${about.plural}.${about.group}`;

const detailsOf = (about: About, name: string): Details => ({
  ...(name === '' ? {} : { name }),
  ...(about.group === '' ? {} : { group: about.group }),
  kind: about.plural,
});

export const notFound = (about: About, name: string): StatusError =>
  new StatusError(404, 'NotFound', `${qualified(about)} "${name}" not found`, detailsOf(about, name));

/** A path the server does not serve at all. */
export const noSuchPath = (): StatusError =>
  new StatusError(404, 'NotFound', 'the server could not find the requested resource', {});

export const alreadyExists = (about: About, name: string): StatusError =>
  new StatusError(
    409,
    'AlreadyExists',
    `${qualified(about)} "${name}" already exists`,
    detailsOf(about, name),
  );

export const conflict = (about: About, name: string, why: string): StatusError =>
  new StatusError(
    409,
    'Conflict',
    `Operation cannot be fulfilled on ${qualified(about)} "${name}": ${why}`,
    detailsOf(about, name),
  );

/** The wording of an optimistic lock that failed; client-go's RetryOnConflict and people know it. */
export const modified = (about: About, name: string): StatusError =>
  conflict(
    about,
    name,
    'the object has been modified; please apply your changes to the latest version and try again',
  );

export const forbidden = (about: About, name: string, why: string, causes?: Cause[]): StatusError =>
  new StatusError(403, 'Forbidden', `${qualified(about)} "${name}" is forbidden: ${why}`, {
    ...detailsOf(about, name),
    ...(causes === undefined ? {} : { causes }),
  });

export const badRequest = (message: string): StatusError => new StatusError(400, 'BadRequest', message);

export const methodNotAllowed = (): StatusError =>
  new StatusError(
    405,
    'MethodNotAllowed',
    'the server does not allow this method on the requested resource',
    {},
  );

export const unsupportedMediaType = (accepted: readonly string[]): StatusError =>
  new StatusError(
    415,
    'UnsupportedMediaType',
    `the body of the request was in an unknown format - accepted media types include: ${accepted.join(', ')}`,
  );

export const notAcceptable = (accepted: readonly string[]): StatusError =>
  new StatusError(
    406,
    'NotAcceptable',
    `only the following media types are accepted: ${accepted.join(', ')}`,
  );

export const tooLarge = (limit: number): StatusError =>
  new StatusError(413, 'RequestEntityTooLarge', `Request entity too large: limit is ${limit}`);

export const unauthorized = (): StatusError => new StatusError(401, 'Unauthorized', 'Unauthorized');

/** 410: the client lists anew. */
export const expired = (message: string): StatusError => new StatusError(410, 'Expired', message);

/** 504: the client is ahead of this server, e.g. after its data was removed. */
export const tooLargeResourceVersion = (asked: number, current: number): StatusError => {
  const message = `Too large resource version: ${asked}, current: ${current}`;
  return new StatusError(504, 'Timeout', `Timeout: ${message}`, {
    causes: [{ reason: 'ResourceVersionTooLarge', message: 'Too large resource version', field: '' }],
    retryAfterSeconds: 1,
  });
};

export const internal = (message: string): StatusError =>
  new StatusError(500, 'InternalError', `Internal error occurred: ${message}`, {
    causes: [{ reason: '', message, field: '' }],
  });
