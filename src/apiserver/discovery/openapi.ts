import type { Answer } from '../call.ts';

/** Interim: nothing is described yet. */
export function openApiAt(_path: string, _accept: string | undefined): Answer | undefined {
  return undefined;
}
