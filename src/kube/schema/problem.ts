/** Why a request cannot be served, with the HTTP status and the Status reason upstream's API server gives. */
export type ProblemReason = 'BadRequest' | 'Invalid' | 'UnsupportedMediaType';

const CODES: Readonly<Record<ProblemReason, number>> = {
  BadRequest: 400,
  Invalid: 422,
  UnsupportedMediaType: 415,
};

/** One entry of Status.details.causes. */
export interface Cause {
  readonly reason: string;
  readonly message: string;
  readonly field: string;
}

/**
 * A request that cannot be served as it stands. The API server answers with a Status of this `code`, `reason` and `message`.
 *
 * @example throw new RequestProblem('BadRequest', 'Service in version "v1" cannot be handled as a Service: …');
 */
export class RequestProblem extends Error {
  override readonly name = 'RequestProblem';
  readonly reason: ProblemReason;
  readonly code: number;
  readonly causes: readonly Cause[];

  constructor(reason: ProblemReason, message: string, causes: readonly Cause[] = [], options?: ErrorOptions) {
    super(message, options);
    this.reason = reason;
    this.code = CODES[reason];
    this.causes = causes;
  }
}
