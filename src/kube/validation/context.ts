import type { IPFamily } from '../defaults.ts';

/** What a validator needs to know besides the object. */
export interface ValidationContext {
  /** `status`, `finalize`, …: the subresource written through; absent for the object itself. */
  readonly subresource?: string;
  /** The families of the service ranges, the primary one first. Absent: families are not checked against them. */
  readonly serviceFamilies?: readonly IPFamily[];
}
