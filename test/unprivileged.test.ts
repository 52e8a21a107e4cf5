/** Without root a cluster runs in a user namespace: a Deployment and a Service answer, and a kill leaves nothing. */
import { chmodSync, chownSync, existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { DataFolder } from '../src/cluster/data-folder.ts';
import { Exec, HERE, type Place, type Running } from '../src/exec/exec.ts';
import { Kubectl, NEWEST } from './kubectl.ts';
import { deployment, service, shellPod } from './manifests.ts';
import { fairlead, readySupervisor, until } from './supervisor.ts';

const CHECKOUT = new URL('..', import.meta.url).pathname.replace(/\/$/, '');
const NOBODY = 65_534;
const isRoot = process.getuid?.() === 0;

let folder: string;
let data: DataFolder;
let supervisor: Running;

/**
 * A user without any privilege. Root becomes nobody, and sees the checkout at a path that everybody may walk: it may well
 * stand below /root. The mount is in a namespace of its own and goes with it.
 */
function unprivileged(checkout: string): Place {
  if (!isRoot) return HERE;
  const mounted = 'mount --bind "$1" "$2" && shift 2 && exec "$@"';
  const ids = ['--reuid', String(NOBODY), '--regid', String(NOBODY), '--clear-groups'];
  const none = ['--bounding-set=-all', '--inh-caps=-all', '--ambient-caps=-all'];
  return {
    name: 'nobody',
    prefix: [
      'unshare',
      '--mount',
      'sh',
      '-c',
      mounted,
      'sh',
      CHECKOUT,
      checkout,
      'setpriv',
      ...ids,
      ...none,
      '--',
    ],
  };
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'fairlead-nobody-'));
  chmodSync(folder, 0o755);
  const checkout = isRoot ? join(folder, 'checkout') : CHECKOUT;
  const home = join(folder, 'home');
  for (const each of [join(folder, 'checkout'), home]) mkdirSync(each);
  if (isRoot) chownSync(home, NOBODY, NOBODY);
  const command = [
    'env',
    `HOME=${home}`,
    `XDG_CACHE_HOME=${home}/cache`,
    process.execPath,
    join(CHECKOUT, 'src/cli/main.ts'),
  ].map((word) => word.replace(CHECKOUT, checkout));
  supervisor = await readySupervisor(new Exec(unprivileged(checkout)), command, [
    '--data',
    join(home, 'data'),
  ]);
  data = new DataFolder(join(home, 'data'));
});
afterAll(async () => {
  supervisor.kill('SIGKILL');
  await supervisor.ended;
  rmSync(folder, { recursive: true });
});

it('runs a Deployment behind a Service, reached from a pod, a node and outside', async () => {
  expect(data.running().privilege).toBe('user');
  const { kubeconfig } = data;
  const k = new Kubectl({ version: NEWEST, kubeconfig, namespace: 'default', cache: join(folder, 'cache') });
  await k.send(
    ['create', '-f', '-'],
    [deployment('web', 2), service('web', { type: 'NodePort' }), shellPod('client')],
  );
  await k.ok('rollout', 'status', 'deployment/web', '--timeout=30s');
  await k.ok('wait', '--for=condition=Ready', '--timeout=30s', 'pod/client');
  await until('the Service to answer a pod', async () =>
    (await k.shell('client', 'curl -sS --max-time 2 web:8080')).stdout.startsWith('pod default/web-'),
  );
  const port = await k.ok('get', 'svc', 'web', '-o', 'jsonpath={.spec.ports[0].nodePort}');
  for (const host of ['n1', 'external']) {
    const enter = [
      'enter',
      '--data',
      data.path,
      host,
      'curl',
      '-sS',
      '--max-time',
      '5',
      `http://100.64.1.1:${port}/`,
    ];
    const { code } = await fairlead(enter);
    expect(code, `from ${host}`).toBe(0);
  }
  expect((await k.shell('client', 'id -u; exit 3')).code).toBe(3);
  expect(await k.ok('logs', '-l', 'app=web', '--tail=1')).toMatch(/answers HTTP|GET/);
});

it('killed by SIGKILL leaves no process', async () => {
  const { cagePid } = data.running();
  supervisor.kill('SIGKILL');
  await supervisor.ended;
  await until('the cage to end', () => !existsSync(`/proc/${cagePid}`));
  const left = await new Exec().run({ file: 'pgrep', args: ['-af', data.path], accept: [0, 1] });
  expect(left.stdout.split('\n').filter((line) => line !== '' && !line.includes('pgrep'))).toEqual([]);
});
