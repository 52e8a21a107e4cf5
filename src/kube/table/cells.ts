import type { KubeObject } from '../objects.ts';
import { humanDuration } from './duration.ts';

/** How long ago the time was, or `<unknown>` without one. */
export function sinceText(time: string | undefined, now: number): string {
  const at = time === undefined ? Number.NaN : Date.parse(time);
  return Number.isNaN(at) ? '<unknown>' : humanDuration(now - at);
}

export const ageOf = (object: KubeObject, now: number): string =>
  sinceText(object.metadata?.creationTimestamp, now);
