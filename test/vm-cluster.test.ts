/** A whole cluster in the mode ipvs: what `fairlead up --proxy-mode ipvs` makes where the kernel has IPVS, as a guest's has. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Running } from '../src/exec/exec.ts';
import type { Node, Pod, Service } from '../src/kube/objects.ts';
import { openVm, type Vm } from '../src/lab/vm/vm.ts';
import { kubectlOf, NEWEST } from './kubectl.ts';
import { deployment, service } from './manifests.ts';
import { MAIN, readySupervisor, until } from './supervisor.ts';

/** In the guest's memory: it is gone with the guest. */
const DATA = '/tmp/fairlead-ipvs-cluster';
const REFUSED = 7;
/** The guest's processor is translated: kubectl alone takes seconds there. */
const SLOW_MS = 120_000;

let vm: Vm;
let supervisor: Running;

beforeAll(async () => {
  vm = await openVm({ memory: 4096 });
  supervisor = await readySupervisor(
    vm.exec(),
    [process.execPath, MAIN],
    ['--data', DATA, '--nodes', '1', '--profile', 'vpc', '--proxy-mode', 'ipvs'],
  );
}, 600_000);
afterAll(async () => await vm.close());

async function kubectl(args: readonly string[], stdin = ''): Promise<string> {
  const command = { file: kubectlOf(NEWEST), args: ['--kubeconfig', `${DATA}/kubeconfig`, ...args] };
  return (await vm.exec().run({ ...command, stdin, timeoutMs: SLOW_MS })).stdout;
}

const read = async <T>(...what: string[]): Promise<T> =>
  JSON.parse(await kubectl(['get', '-o', 'json', ...what]));

/** A command at a host of the cluster. */
const at = (host: string, ...command: string[]) =>
  vm.exec().run({
    file: process.execPath,
    args: [MAIN, 'enter', '--data', DATA, host, ...command],
    timeoutMs: SLOW_MS,
    accept: [0, REFUSED],
  });

it('serves a Service by virtual servers, as far as a client outside', { timeout: 3 * SLOW_MS }, async () => {
  const objects = [deployment('web', 2), service('web', { type: 'NodePort' })];
  await kubectl(['apply', '-f', '-'], objects.map((one) => JSON.stringify(one)).join('\n'));
  await kubectl(['rollout', 'status', 'deployment/web', '--timeout=60s']);
  const { items: pods } = await read<{ items: Pod[] }>('pods', '--selector=app=web');
  const { spec } = await read<Service>('service', 'web');
  const { status } = await read<Node>('node', 'n1');
  const address = (type: string) => status?.addresses?.find((one) => one.type === type)?.address;
  const nodePort = spec?.ports?.[0]?.nodePort;
  const curl = () =>
    at('external', 'curl', '-sS', '--max-time', '10', `http://${address('ExternalIP')}:${nodePort}/`);

  const servers = async () => (await at('n1', 'ipvsadm', '-Sn')).stdout.split('\n');
  const wanted = [`${spec?.clusterIP}:8080`, `${address('InternalIP')}:${nodePort}`].flatMap((end) => [
    `-A -t ${end} -s rr`,
    ...pods.map((pod) => `-a -t ${end} -r ${pod.status?.podIP}:80 -m -w 1`),
  ]);
  await until(
    'both pods behind both addresses',
    async () => {
      const there = await servers();
      return wanted.every((line) => there.includes(line));
    },
    SLOW_MS,
  );
  expect((await at('n1', 'ip', '-br', 'address', 'show', 'kube-ipvs0')).stdout).toContain(
    `${spec?.clusterIP}/32`,
  );
  // rr: two connections, two pods.
  const answers = [await curl(), await curl()].map(
    ({ stdout }) => /^pod default\/(\S+) on node n1/m.exec(stdout)?.[1],
  );
  expect(answers.sort()).toEqual(pods.map(({ metadata }) => metadata?.name).sort());

  await kubectl(['scale', 'deployment/web', '--replicas=0']);
  await until(
    'nobody behind either address',
    async () => !(await servers()).some((line) => /^-a .*:80 /.test(line) && wanted.includes(line)),
    SLOW_MS,
  );
  expect((await curl()).code).toBe(REFUSED);
});

it('ends in order', { timeout: SLOW_MS }, async () => {
  supervisor.kill('SIGTERM');
  expect(await supervisor.ended).toEqual({ code: 0, signal: null });
});
