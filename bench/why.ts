/**
 * `fairlead why` on files, from the start of the process to its end, as a person waits for it. The peer is the bound,
 * 400 ms. `n` is the number of runs.
 */
import { fileURLToPath } from 'node:url';
import { Exec, HERE } from '../src/exec/exec.ts';
import { percentile, report } from './report.ts';

const BOUND_MS = 400;
const RUNS = 20;
const EXIT_FINDINGS = 2;
const file = (path: string) => fileURLToPath(new URL(`../${path}`, import.meta.url));
const ARGS = [
  'why',
  'pod/near',
  'svc/nginx',
  '--at',
  'loadBalancer',
  '-f',
  file('examples/three-nodes.yaml'),
];

export async function run(): Promise<void> {
  const here = new Exec(HERE);
  const took: number[] = [];
  for (let at = 0; at < RUNS; at++) {
    const began = performance.now();
    await here.run({
      file: process.execPath,
      args: [file('src/cli/main.ts'), ...ARGS],
      accept: [EXIT_FINDINGS],
    });
    took.push(performance.now() - began);
  }
  for (const share of [0.5, 0.95]) {
    const name = `why on files, with its cures, start to end, p${share * 100}; peer: the bound`;
    report({ name, ours: percentile(took, share), peer: BOUND_MS, unit: 'ms', n: RUNS });
  }
}
