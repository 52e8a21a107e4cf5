/** `fairlead proxy --config` ends when its file says something else, as kube-proxy does, so that it is started anew. */
import { mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { type Cage, openCage } from '../../src/lab/cage.ts';
import { MAIN } from '../supervisor.ts';

const KUBECONFIG = `apiVersion: v1
kind: Config
clusters: [{ name: c, cluster: { server: "http://127.0.0.1:1" } }]
users: [{ name: u, user: {} }]
contexts: [{ name: x, context: { cluster: c, user: u } }]
current-context: x
`;
const configuration = (folder: string, period: string) => `apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: nftables
hostnameOverride: n1
clientConnection: { kubeconfig: ${join(folder, 'kubeconfig')} }
nftables: { syncPeriod: ${period} }
`;

let folder: string;
let cage: Cage;
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'fairlead-config-'));
  cage = await openCage();
});
afterEach(async () => {
  await cage.close();
  rmSync(folder, { recursive: true });
});

it('ends with the code FE016 once the link of a ConfigMap leads to other data, and not for the same again', async () => {
  await cage.exec().run({ file: 'ip', args: ['link', 'set', 'lo', 'up'] });
  writeFileSync(join(folder, 'kubeconfig'), KUBECONFIG);
  const file = join(folder, 'config.conf');
  const lead = (name: string, period: string) => {
    writeFileSync(join(folder, name), configuration(folder, period));
    symlinkSync(name, `${file}.new`);
    renameSync(`${file}.new`, file);
  };
  lead('first', '30s');
  const args = [MAIN, 'proxy', '--config', file];
  const proxy = await cage.exec().start(process.execPath, args, { stdout: 'ignore', stderr: 'pipe' });
  if (proxy.stderr === null) throw new Error('a process to be read has a pipe');
  const said = text(proxy.stderr);
  // Looked at every second: the same text in another file is passed over, the other one is not.
  await new Promise((resolve) => proxy.stderr?.once('data', resolve));
  lead('second', '30s');
  const early = await Promise.race([
    proxy.ended,
    new Promise((resolve) => setTimeout(resolve, 2500, 'runs')),
  ]);
  expect(early).toBe('runs');
  lead('third', '40s');
  expect(await proxy.ended).toMatchObject({ code: 1 });
  expect(await said).toContain(`FE016: ${file} has changed (start the proxy again)`);
}, 30_000);
