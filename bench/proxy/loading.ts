import { planService } from '../../src/proxy/proxy.ts';
import type { Backend } from '../../src/sync/backend.ts';
import { percentile } from '../report.ts';
import { NODE, service, slice } from './services.ts';

/** Milliseconds. */
export interface Took {
  /** From the objects to rules in force: plan, compile and load. */
  readonly load: number;
  /** The median of one endpoint changed, likewise; NaN if none was. */
  readonly change: number;
}

export async function measure(backend: Backend, services: number, changes: number): Promise<Took> {
  const objects = Array.from({ length: services }, (_, at) => [service(at), slice(at)] as const);
  const began = performance.now();
  for (const [one, endpoints] of objects) replace(backend, one, endpoints);
  await backend.restore();
  const load = performance.now() - began;
  const took: number[] = [];
  for (let at = 0; at < changes; at++) {
    const start = performance.now();
    replace(backend, service(at), slice(at, 1));
    await backend.apply();
    took.push(performance.now() - start);
  }
  return { load, change: percentile(took, 0.5) };
}

function replace(
  backend: Backend,
  ...[one, endpoints]: [ReturnType<typeof service>, ReturnType<typeof slice>]
): void {
  const { plan } = planService(NODE, one, [endpoints]);
  if (plan === undefined) throw new Error('the Service has a plan');
  backend.replace(plan.name, plan);
}
