import { readdirSync, readFileSync } from 'node:fs';
import type { Scenario } from './scenario.ts';

/** What differed once, by file; the running kernel and a guest each have those that they can build. */
export function regressionsFor(kernel: 'host' | 'guest'): readonly (readonly [string, Scenario])[] {
  const folder = new URL('regressions/', import.meta.url);
  return readdirSync(folder)
    .filter((name) => name.endsWith('.json'))
    .map((name) => [name, JSON.parse(readFileSync(new URL(name, folder), 'utf8')) as Scenario] as const)
    .filter(([, { profile }]) => (profile.proxyMode === 'ipvs') === (kernel === 'guest'));
}
