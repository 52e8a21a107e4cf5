/** Daemons that are killed come back: nothing acknowledged is lost, and connections through Services live on. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { KubeObject, Pod } from '../src/kube/objects.ts';
import type { Kubectl } from './kubectl.ts';
import { deployment, service, shellPod } from './manifests.ts';
import { Stand } from './stand.ts';
import { fairlead, until } from './supervisor.ts';

const NODES = ['n1', 'n2', 'n3'];
let stand: Stand;
let k: Kubectl;

/** One connection for good: a line there, a line back, ten times a second; says how far it came, or that it broke. */
const HOLD = `exec 3<>/dev/tcp/web/8080 || exit 1
n=0
while echo json >&3 && read -r -t 5 answer <&3; do n=$((n+1)); echo "$n $answer"; sleep 0.1; done
echo broken`;

beforeAll(async () => {
  stand = await Stand.up();
  k = await stand.kubectl('recovery');
  await k.send(['create', '-f', '-'], [deployment('web', 3), service('web', { type: 'NodePort' })]);
  await k.ok('rollout', 'status', 'deployment/web', '--timeout=30s');
  const container = { name: 'c', image: 'busybox', command: ['bash', '-c', HOLD] };
  await k.send(
    ['create', '-f', '-'],
    [shellPod('holder', '', { containers: [container] }), shellPod('client')],
  );
  await k.ok('wait', '--for=condition=Ready', '--timeout=30s', 'pod/holder', 'pod/client');
  await until('the held connection to speak', async () => (await progress()) > 3);
});
afterAll(() => stand.down());

/** How many answers came over the held connection; NaN while nobody can tell. Throws if it broke. */
async function progress(): Promise<number> {
  const { code, stdout } = await k.run(['logs', 'holder', '--tail=1']);
  if (stdout === 'broken\n') throw new Error('the held connection broke');
  return code === 0 ? Number.parseInt(stdout, 10) : Number.NaN;
}

async function stillHeld(): Promise<void> {
  let before = Number.NaN;
  await until('the log of the held connection', async () => {
    before = await progress();
    return before > 0;
  });
  await until('more answers over the held connection', async () => (await progress()) > before + 3);
}

/** Kills a daemon by SIGKILL and waits for the next one. */
async function kill(name: string): Promise<void> {
  const pid = stand.daemon(name);
  if (pid === undefined) throw new Error(`${name} does not run`);
  process.kill(pid, 'SIGKILL');
  await until(`another ${name}`, () => ![undefined, pid].includes(stand.daemon(name)));
}

const allReady = () =>
  until(
    'everything to be ready',
    async () => (await fairlead(['status', '--data', stand.data.path])).code === 0,
    30_000,
  );

/** A Service made now carries traffic on every node. */
async function carries(name: string): Promise<void> {
  await k.send(['create', '-f', '-'], [service(name, { selector: { app: 'web' } })]);
  const address = await k.ok('get', 'svc', name, '-o', 'jsonpath={.spec.clusterIP}');
  for (const node of NODES) {
    await until(
      `${name} to answer ${node}`,
      async () => (await stand.curl(node, `http://${address}:8080/`)).code === 0,
      20_000,
    );
  }
}

const pods = async () =>
  (await k.json<{ items: Pod[] }>('pods')).items
    .map(({ metadata, status }) => {
      const [container] = status?.containerStatuses ?? [];
      return [
        metadata?.name,
        metadata?.uid,
        status?.podIP,
        container?.containerID,
        container?.restartCount,
      ].join(' ');
    })
    .sort();

describe('after SIGKILL', { timeout: 90_000 }, () => {
  it('of every proxy, Services go on and new ones come', async () => {
    const before = await pods();
    for (const node of NODES) await kill(`proxy-${node}`);
    await stillHeld();
    expect((await k.shell('client', 'curl -sS --max-time 5 web:8080')).stdout).toMatch(/^pod recovery\/web-/);
    await carries('after-proxy');
    expect(await pods()).toEqual(before);
  });

  it('of every kubelet, the same containers run on and new pods come', async () => {
    const before = await pods();
    for (const node of NODES) await kill(`kubelet-${node}`);
    await stillHeld();
    await k.ok('scale', 'deployment/web', '--replicas=5');
    await k.ok('rollout', 'status', 'deployment/web', '--timeout=30s');
    expect(await pods()).toEqual(expect.arrayContaining(before));
    expect((await k.shell('client', 'echo still here')).stdout).toBe('still here\n');
    await k.ok('scale', 'deployment/web', '--replicas=3');
    await stillHeld();
  });

  it('of the control plane, every acknowledged object is there and the controllers go on', async () => {
    const names: string[] = [];
    let isKilled = false;
    const writing = (async () => {
      for (let at = 0; !isKilled || at < 30; at++) {
        const { code } = await k.run(['create', 'configmap', `kept-${at}`, `--from-literal=at=${at}`]);
        if (code === 0) names.push(`configmap/kept-${at}`);
        else if (isKilled) break;
      }
    })();
    await until('some objects', () => names.length > 3);
    const before = await pods();
    isKilled = true;
    await kill('control-plane');
    await writing;
    await allReady();
    const found = (await k.ok('get', 'configmaps', '-o', 'name')).split('\n');
    expect(found).toEqual(expect.arrayContaining(names));
    expect(await pods()).toEqual(before);
    await stillHeld();
    await carries('after-control-plane');
    await k.ok('rollout', 'restart', 'deployment/web');
    await k.ok('rollout', 'status', 'deployment/web', '--timeout=30s');
  });

  it('of the DNS container, names answer again', async () => {
    // Seen from the cage, whose /proc has nobody else's processes.
    const script = 'kill -KILL $(pgrep -f "^/usr/lib/fairlead/node .* dns ")';
    await stand.at('control-plane').run({ file: 'sh', args: ['-c', script] });
    const dns = [
      'get',
      'po',
      '-n',
      'kube-system',
      '-o',
      'jsonpath={.items[0].status.containerStatuses[0].restartCount}',
    ];
    await until('the restart of the DNS', async () => (await k.ok(...dns)) === '1', 30_000);
    await until(
      'the name to answer',
      async () => (await k.shell('client', 'curl -sS --max-time 2 web:8080')).code === 0,
      30_000,
    );
  });

  it('of the supervisor, the next start brings back every pod and Service before it says ready', async () => {
    const identities = async () =>
      (await k.json<{ items: KubeObject[] }>('pods,services,deployments,configmaps')).items
        .map(({ kind, metadata }) => [kind, metadata?.name, metadata?.uid].join(' '))
        .sort();
    const address = () => k.ok('get', 'svc', 'web', '-o', 'jsonpath={.spec.clusterIP}');
    await until('the restarted pods alone', async () => (await pods()).length === 5);
    const before = [await identities(), await address()];
    await stand.crash();
    expect([await identities(), await address()]).toEqual(before);
    expect(await k.shell('client', 'curl -sS --max-time 2 web:8080')).toMatchObject({ code: 0 });
    for (const node of NODES) {
      expect(await stand.curl(node, `http://${await address()}:8080/`, '--max-time', '2')).toMatchObject({
        code: 0,
      });
    }
  });
});

it('the Service kubernetes comes back when it is deleted, and leads to the API', {
  timeout: 60_000,
}, async () => {
  await k.ok('delete', 'svc,endpoints,endpointslices', '-n', 'default', '--all');
  const about = [
    'get',
    'svc',
    'kubernetes',
    '-n',
    'default',
    '--ignore-not-found',
    '-o',
    'jsonpath={.spec.clusterIP}',
  ];
  await until('the Service', async () => (await k.ok(...about)) === '10.247.0.1', 20_000);
  const ask = 'curl -sk --max-time 2 -o /dev/null -w "%{http_code}" https://kubernetes.default/readyz';
  await until('the API behind it', async () => (await k.shell('client', ask)).stdout === '200', 20_000);
});
