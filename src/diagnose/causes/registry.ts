import { BESIDE_CAUSES } from './beside.ts';
import { CAPTURE_CAUSES } from './capture.ts';
import type { CauseEntry } from './cause.ts';
import { ENDPOINT_CAUSES } from './endpoints.ts';
import { MANIFEST_CAUSES } from './manifest.ts';
import { POLICY_CAUSES } from './policy.ts';
import { SOURCE_CAUSES } from './source.ts';
import { WAY_CAUSES } from './way.ts';

/** Every cause there is, by code. A code is never given another meaning; a page in docs/causes belongs to each. */
export const CAUSES = {
  ...POLICY_CAUSES,
  ...WAY_CAUSES,
  ...CAPTURE_CAUSES,
  ...ENDPOINT_CAUSES,
  ...SOURCE_CAUSES,
  ...MANIFEST_CAUSES,
  ...BESIDE_CAUSES,
} as const satisfies Readonly<Record<string, CauseEntry>>;

export type CauseCode = keyof typeof CAUSES;

export const CAUSE_CODES = Object.keys(CAUSES) as readonly CauseCode[];

export const isCauseCode = (text: string): text is CauseCode => Object.hasOwn(CAUSES, text);

/** The entry of a code, at the type all of them share. */
export const causeEntry = (code: CauseCode): CauseEntry => CAUSES[code];
