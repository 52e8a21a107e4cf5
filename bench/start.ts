/**
 * How long from `fairlead up` to a ready cluster, and from creating a Service to its first answer. No other cluster runs
 * here to measure against, so the peer is the bound each figure is held to: 5 s and 1 s.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { clientFromKubeconfig } from '../src/client/kubeconfig.ts';
import { DataFolder } from '../src/cluster/data-folder.ts';
import { Exec } from '../src/exec/exec.ts';
import type { Pod, Service } from '../src/kube/objects.ts';
import { RESOURCES } from '../src/kube/resources.ts';
import { cagePlace } from '../src/lab/cage.ts';
import { percentile, report } from './report.ts';

const MAIN = new URL('../src/cli/main.ts', import.meta.url).pathname;

export async function run(args: readonly string[]): Promise<void> {
  const n = Number(args[0] ?? 5);
  const ready: number[] = [];
  const first: number[] = [];
  const later: number[] = [];
  for (let at = 0; at < n; at++) {
    const data = mkdtempSync(join(tmpdir(), 'fairlead-bench-'));
    try {
      const began = performance.now();
      const supervisor = await new Exec().start(
        process.execPath,
        [MAIN, 'up', '--data', data, '--port', '0'],
        {
          stdout: 'pipe',
        },
      );
      const { stdout } = supervisor;
      if (stdout === null) throw new Error('the supervisor has a pipe');
      await new Promise<void>((resolve, reject) => {
        createInterface(stdout).on('line', (line) => line === 'ready' && resolve());
        supervisor.ended.then(({ code }) => reject(new Error(`the supervisor ended with ${code}`)));
      });
      ready.push(performance.now() - began);
      const folder = new DataFolder(data);
      const client = await clientFromKubeconfig(folder.kubeconfig);
      const { cagePid, privilege } = folder.running();
      const outside = new Exec(cagePlace(cagePid, privilege, 'n1'));
      const serve = async (name: string, withPod: boolean) => {
        const start = performance.now();
        if (withPod) await client.create<Pod>(RESOURCES.pods, pod(), 'default');
        const { spec } = await client.create<Service>(RESOURCES.services, service(name), 'default');
        const url = `http://${spec?.clusterIP}/`;
        // Refused is the answer of a Service whose pod is not there yet: ask again, at once.
        const script = `until curl -sf -o /dev/null -m 1 ${url}; do :; done`;
        await outside.run({ file: 'timeout', args: ['10', 'sh', '-c', script] });
        return performance.now() - start;
      };
      first.push(await serve('first', true));
      later.push(await serve('second', false));
      await client.close();
      supervisor.kill('SIGTERM');
      await supervisor.ended;
    } finally {
      rmSync(data, { recursive: true });
    }
  }
  const median = (values: readonly number[]) => percentile(values, 0.5);
  report({ name: 'start: up to ready (peer: bound)', ours: median(ready), peer: 5000, unit: 'ms', n });
  report({
    name: 'start: pod and Service to first answer (peer: bound)',
    ours: median(first),
    peer: 1000,
    unit: 'ms',
    n,
  });
  report({
    name: 'start: Service to first answer (peer: bound)',
    ours: median(later),
    peer: 1000,
    unit: 'ms',
    n,
  });
}

const pod = (): Pod => ({
  metadata: { name: 'responder', labels: { app: 'responder' } },
  spec: { containers: [{ name: 'responder', image: 'fairlead/responder', ports: [{ containerPort: 80 }] }] },
});

const service = (name: string): Service => ({
  metadata: { name },
  spec: { selector: { app: 'responder' }, ports: [{ port: 80 }] },
});
