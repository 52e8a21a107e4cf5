/** The proxy's own answer at the healthCheckNodePorts of cases, given by a process in the network namespace of n1. */
import { text } from 'node:stream/consumers';
import type { Exec } from '../../src/exec/exec.ts';
import type { ServicePlan } from '../../src/proxy/proxy.ts';
import { planOf } from './rules.ts';
import type { Case } from './vectors.ts';

/** What the process is told, as JSON. */
export type Checked = Required<Pick<ServicePlan, 'name' | 'healthCheck'>>;

const PROGRAM = new URL('health-servers.ts', import.meta.url).pathname;

/** Returns when all of them answer; they do until their place is gone. Which configuration rules makes no difference to them. */
export async function startHealthServers(exec: Exec, cases: readonly Case[]): Promise<void> {
  const { services } = planOf(cases, 'nodeCIDR');
  const checked = Array.from(services.values()).flatMap(({ name, healthCheck }): Checked[] =>
    healthCheck === undefined ? [] : [{ name, healthCheck }],
  );
  const { stdin, stdout, stderr } = await exec.start(process.execPath, [PROGRAM], {
    stdin: 'pipe',
    stdout: 'pipe',
    stderr: 'pipe',
  });
  if (stdin === null || stdout === null || stderr === null) throw new Error('pipes were asked for');
  const complaints = text(stderr);
  stdin.end(JSON.stringify(checked));
  for await (const _ of stdout) return;
  throw new Error(`the health servers ended before they answered: ${await complaints}`);
}
