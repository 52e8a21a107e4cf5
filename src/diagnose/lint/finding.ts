import type { CauseCode } from '../causes/registry.ts';
import type { LintSet } from './lint-set.ts';

/**
 * `error`: it fails, or will. `warning`: it fails for some clients, or in some placements. `note`: worth knowing before it
 * is found out by load or by an upgrade.
 */
export type Severity = 'error' | 'warning' | 'note';

export interface Finding {
  readonly code: CauseCode;
  readonly severity: Severity;
  /** `Service default/nginx`. */
  readonly object: string;
  /** `file:line`; empty where no file says it. */
  readonly place: string;
  /** One sentence with the names of this case. */
  readonly message: string;
  /** What to do, in one sentence. */
  readonly cure: string;
}

/** Looks at all the manifests and says what it finds; a rule that lacks a fact says nothing. */
export type LintRule = (set: LintSet) => Iterable<Finding>;
