import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { expect, it, onTestFinished } from 'vitest';
import { clientFromKubeconfig } from '../src/client/kubeconfig.ts';
import { Exec } from '../src/exec/exec.ts';
import type { Deployment, ReplicaSet } from '../src/kube/objects.ts';
import { RESOURCES } from '../src/kube/resources.ts';
import { MAIN, until } from './supervisor.ts';

/** A daemon of ours, once it has said that it serves. */
async function daemon(...args: string[]): Promise<void> {
  const running = await new Exec().start(process.execPath, [MAIN, ...args], { stdout: 'pipe' });
  onTestFinished(async () => {
    running.kill('SIGTERM');
    expect(await running.ended).toEqual({ code: 0, signal: null });
  });
  const { stdout } = running;
  if (stdout === null) throw new Error('a pipe was asked for');
  await new Promise<void>((resolve, reject) => {
    createInterface(stdout).on('line', (line) => line === 'ready' && resolve());
    running.ended.then(({ code }) => reject(new Error(`${args[0]} ended with ${code}`)));
  });
}

it('API server and controllers run alone, joined by a kubeconfig', async () => {
  const data = mkdtempSync(join(tmpdir(), 'fairlead-daemons-'));
  onTestFinished(() => rmSync(data, { recursive: true }));
  const kubeconfig = join(data, 'kubeconfig');
  // A port of loopback that this test alone uses; the address is its own.
  const listen = ['--listen', '127.0.6.44:6443', '--advertise-address', '192.0.2.1'];
  await daemon('apiserver', '--data', data, ...listen);
  await daemon('controllers', '--kubeconfig', kubeconfig);
  const client = await clientFromKubeconfig(kubeconfig);
  onTestFinished(() => client.close());
  const labels = { app: 'a' };
  const wanted: Deployment = {
    metadata: { name: 'a' },
    spec: {
      selector: { matchLabels: labels },
      template: { metadata: { labels }, spec: { containers: [{ name: 'c', image: 'nginx' }] } },
    },
  };
  await client.create(RESOURCES.deployments, wanted, 'default');
  await until('the Deployment to have its ReplicaSet', async () => {
    const { items } = await client.list<ReplicaSet>(RESOURCES.replicasets, { namespace: 'default' });
    return items.length === 1;
  });
});
