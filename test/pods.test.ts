/** Pods on a running cluster: what they find inside, how they are watched, restarted and ended. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Endpoints, Pod } from '../src/kube/objects.ts';
import type { Kubectl } from './kubectl.ts';
import { deployment, responderPod, service, shellPod } from './manifests.ts';
import { Stand } from './stand.ts';
import { until } from './supervisor.ts';

let stand: Stand;
let k: Kubectl;
beforeAll(async () => {
  stand = await Stand.up();
  k = await stand.kubectl('pods');
});
afterAll(() => stand.down());

const pod = (name: string) => k.json<Pod>('pod', name);
const status = async (name: string) => (await pod(name)).status?.containerStatuses?.[0];
const create = (...objects: object[]) => k.send(['create', '-f', '-'], objects);
const ready = (...names: string[]) =>
  k.ok('wait', '--for=condition=Ready', '--timeout=30s', ...names.map((name) => `pod/${name}`));

/** A shell pod with a container that has more to it. */
const watched = (name: string, script: string, container: object, spec: Record<string, unknown> = {}) =>
  shellPod(name, script, {
    containers: [{ name: 'c', image: 'busybox', command: ['sh', '-c', script], ...container }],
    ...spec,
  });

/** Addresses of the ready endpoints of a Service. */
async function endpointsOf(name: string): Promise<string[]> {
  const { subsets = [] } = await k.json<Endpoints>('endpoints', name);
  return subsets.flatMap(({ addresses = [] }) => addresses.map(({ ip }) => ip)).sort();
}

describe.concurrent('a pod', { timeout: 60_000 }, () => {
  it('has the files, the name and the environment of a pod', async () => {
    const spec = {
      hostname: 'named',
      subdomain: 'sub',
      hostAliases: [{ ip: '10.1.2.3', hostnames: ['elsewhere'] }],
    };
    const env = [
      { name: 'PLAIN', value: 'a' },
      { name: 'COMPOSED', value: '$(PLAIN)-$(MISSING)' },
      { name: 'POD_IP', valueFrom: { fieldRef: { fieldPath: 'status.podIP' } } },
      { name: 'NODE', valueFrom: { fieldRef: { fieldPath: 'spec.nodeName' } } },
      { name: 'FROM_MAP', valueFrom: { configMapKeyRef: { name: 'inside', key: 'a' } } },
      { name: 'FROM_SECRET', valueFrom: { secretKeyRef: { name: 'inside', key: 'b' } } },
    ];
    await create(
      { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'inside' }, data: { a: 'of the map' } },
      { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'inside' }, stringData: { b: 'hidden' } },
      watched('inside', 'sleep infinity', { env }, spec),
    );
    await ready('inside');
    const { status: known, spec: placed } = await pod('inside');
    const file = (path: string) => k.ok('exec', 'inside', '--', 'cat', path);
    expect(await file('/etc/resolv.conf')).toBe(
      'search pods.svc.cluster.local svc.cluster.local cluster.local\nnameserver 10.247.3.10\noptions ndots:5\n',
    );
    const hosts = await file('/etc/hosts');
    expect(hosts).toMatch(/^127\.0\.0\.1\tlocalhost$/m);
    expect(hosts).toContain(`${known?.podIP}\tnamed.sub.pods.svc.cluster.local\tnamed\n`);
    expect(hosts).toContain('10.1.2.3\telsewhere\n');
    expect(await k.ok('exec', 'inside', '--', 'hostname')).toBe('named\n');
    const inside = await k.ok('exec', 'inside', '--', 'env');
    for (const line of [
      'COMPOSED=a-$(MISSING)',
      `POD_IP=${known?.podIP}`,
      `NODE=${placed?.nodeName}`,
      'FROM_MAP=of the map',
      'FROM_SECRET=hidden',
      'KUBERNETES_SERVICE_HOST=10.247.0.1',
      'KUBERNETES_SERVICE_PORT=443',
      'HOSTNAME=named',
    ]) {
      expect(inside.split('\n')).toContain(line);
    }
    expect(await k.ok('exec', 'inside', '--', 'sh', '-c', 'echo $$; ls /proc | grep -c "^[0-9]"')).toMatch(
      /^\d{1,3}\n\d{1,2}\n$/,
    );
  });

  it('runs as the user and in the folder it is given, and so does what is executed in it', async () => {
    const container = { workingDir: '/usr', env: [{ name: 'A', value: 'b' }] };
    const security = { securityContext: { runAsUser: 1000, runAsGroup: 2000 } };
    await create(watched('somebody', 'id -u; id -g; pwd; sleep infinity', container, security));
    await ready('somebody');
    await until('its words', async () => (await k.ok('logs', 'somebody')) === '1000\n2000\n/usr\n');
    expect((await k.shell('somebody', 'id -u; id -g; pwd; echo $A')).stdout).toBe('1000\n2000\n/usr\nb\n');
  });

  it('has its volumes, and what its init containers left there', async () => {
    const volumeMounts = [
      { name: 'work', mountPath: '/work' },
      { name: 'map', mountPath: '/map' },
      { name: 'secret', mountPath: '/secret', readOnly: true },
      { name: 'about', mountPath: '/about' },
    ];
    const volumes = [
      { name: 'work', emptyDir: {} },
      { name: 'map', configMap: { name: 'mounted' } },
      { name: 'secret', secret: { secretName: 'mounted', defaultMode: 0o400 } },
      {
        name: 'about',
        downwardAPI: { items: [{ path: 'labels', fieldRef: { fieldPath: 'metadata.labels' } }] },
      },
    ];
    const before = ['sh', '-c', 'echo made > /work/file'];
    const initContainers = [
      { name: 'before', image: 'busybox', command: before, volumeMounts: volumeMounts.slice(0, 1) },
    ];
    await create(
      { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'mounted' }, data: { a: 'of the map\n' } },
      { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'mounted' }, stringData: { b: 'hidden\n' } },
      watched('mounted', 'sleep infinity', { volumeMounts }, { volumes, initContainers }),
    );
    await ready('mounted');
    const { stdout } = await k.shell(
      'mounted',
      'cat /work/file /map/a /secret/b /about/labels; stat -Lc %a /secret/b',
    );
    expect(stdout).toBe('made\nof the map\nhidden\napp="mounted"400\n');
  });

  it('reaches the API through the Service kubernetes with its token, and not without', async () => {
    await create(shellPod('caller'));
    await ready('caller');
    const ask = (token: string) =>
      k.shell(
        'caller',
        `cd /var/run/secrets/kubernetes.io/serviceaccount; curl -sS --max-time 5 --cacert ca.crt -H "Authorization: Bearer ${token}" https://kubernetes.default.svc/api/v1/namespaces/$(cat namespace)/pods/caller`,
      );
    expect(JSON.parse((await ask('$(cat token)')).stdout)).toMatchObject({
      kind: 'Pod',
      metadata: { name: 'caller' },
    });
    expect(JSON.parse((await ask('wrong')).stdout)).toMatchObject({ kind: 'Status', code: 401 });
  });

  it('that is not ready is no endpoint, and is one again', async () => {
    const readinessProbe = {
      exec: { command: ['test', '!', '-e', '/tmp/broken'] },
      periodSeconds: 1,
      failureThreshold: 1,
    };
    await create(deployment('probed', 2, { readinessProbe }), service('probed'));
    await k.ok('rollout', 'status', 'deployment/probed', '--timeout=30s');
    await until('two endpoints', async () => (await endpointsOf('probed')).length === 2);
    const [first, second] = (await k.json<{ items: Pod[] }>('pods', '-l', 'app=probed')).items;
    const name = first?.metadata?.name ?? '';
    await k.ok('exec', name, '--', 'touch', '/tmp/broken');
    await k.ok('wait', `pod/${name}`, '--for=condition=Ready=false', '--timeout=20s');
    await until('the endpoint to go', async () => (await endpointsOf('probed')).length === 1);
    expect(await endpointsOf('probed')).toEqual([second?.status?.podIP]);
    expect(await k.ok('get', 'pod', name)).toMatch(/ 0\/1 +Running +0 /);
    expect(await k.ok('get', 'events', '--field-selector', `involvedObject.name=${name}`)).toContain(
      'Readiness probe failed',
    );
    await k.ok('exec', name, '--', 'rm', '/tmp/broken');
    await until('the endpoint to come back', async () => (await endpointsOf('probed')).length === 2, 20_000);
  });

  it('that is not alive is restarted: exec, httpGet and tcpSocket', async () => {
    const quick = { periodSeconds: 1, failureThreshold: 1 };
    const exec = { exec: { command: ['test', '!', '-e', '/tmp/dead'] }, ...quick };
    const http = { httpGet: { path: '/no-such-page', port: 80 }, ...quick };
    const tcp = { tcpSocket: { port: 81 }, ...quick };
    const nginx = (livenessProbe: object) => ({ image: 'nginx', command: undefined, livenessProbe });
    await create(
      watched('by-exec', 'sleep infinity', { livenessProbe: exec }),
      watched('by-http', '', nginx(http)),
      watched('by-tcp', '', nginx(tcp)),
      watched('alive', '', nginx({ httpGet: { path: '/', port: 80 }, ...quick })),
    );
    await ready('by-exec', 'alive');
    await k.ok('exec', 'by-exec', '--', 'touch', '/tmp/dead');
    for (const name of ['by-exec', 'by-http', 'by-tcp']) {
      await until(
        `the restart of ${name}`,
        async () => ((await status(name))?.restartCount ?? 0) > 0,
        30_000,
      );
      const events = await k.ok('get', 'events', '--field-selector', `involvedObject.name=${name}`);
      expect(events).toContain('Liveness probe failed');
      expect(events).toContain('Container c failed liveness probe, will be restarted');
    }
    expect((await status('alive'))?.restartCount).toBe(0);
  });

  it('restarts as its policy says, and says CrashLoopBackOff while it waits', async () => {
    await create(
      shellPod('always', 'exit 3'),
      shellPod('on-failure', 'exit 0', { restartPolicy: 'OnFailure' }),
      shellPod('never-bad', 'echo why > /dev/termination-log; exit 4', { restartPolicy: 'Never' }),
      shellPod('never-good', 'exit 0', { restartPolicy: 'Never' }),
    );
    const phase = (name: string, is: string) =>
      until(`${name} to be ${is}`, async () => (await pod(name)).status?.phase === is, 20_000);
    await phase('on-failure', 'Succeeded');
    await phase('never-bad', 'Failed');
    await phase('never-good', 'Succeeded');
    expect((await status('never-bad'))?.state?.terminated).toMatchObject({
      exitCode: 4,
      reason: 'Error',
      message: 'why\n',
    });
    expect((await status('never-good'))?.state?.terminated).toMatchObject({ reason: 'Completed' });
    expect(await k.ok('get', 'po', 'never-good', 'never-bad', '--no-headers')).toMatch(
      /never-good +0\/1 +Completed +0 .*\nnever-bad +0\/1 +Error +0 /,
    );
    await until(
      'CrashLoopBackOff',
      async () => (await status('always'))?.state?.waiting?.reason === 'CrashLoopBackOff',
      20_000,
    );
    expect(await k.ok('get', 'po', 'always')).toMatch(/ 0\/1 +CrashLoopBackOff +1 \(\d+s ago\) /);
    expect(
      await k.ok('get', 'events', '--field-selector', 'involvedObject.name=always,type=Warning'),
    ).toMatch(/BackOff .*Back-off restarting failed container c/);
  });

  it('is given its grace period and no more', async () => {
    const stubborn = 'trap "" TERM; while :; do sleep 0.1; done';
    const polite = 'trap "exit 0" TERM; while :; do sleep 0.1; done';
    await create(
      shellPod('stubborn', stubborn, { terminationGracePeriodSeconds: 3 }),
      shellPod('polite', polite, { terminationGracePeriodSeconds: 30 }),
    );
    await ready('stubborn', 'polite');
    const took = async (name: string) => {
      const began = performance.now();
      await k.ok('delete', 'pod', name);
      return performance.now() - began;
    };
    const [hard, soft] = await Promise.all([took('stubborn'), took('polite')]);
    expect(hard).toBeGreaterThan(2_900);
    expect(hard).toBeLessThan(10_000);
    expect(soft).toBeLessThan(10_000);
  });

  it('that fits nowhere stays Pending and its events say why', async () => {
    const huge = { resources: { requests: { cpu: '1000' } } };
    await create(shellPod('picky', undefined, { nodeSelector: { disk: 'ssd' } }), watched('huge', '', huge));
    for (const [name, why] of [
      ['picky', "0/3 nodes are available: 3 node(s) didn't match Pod's node affinity/selector"],
      ['huge', '0/3 nodes are available: 3 Insufficient cpu'],
    ] as const) {
      const about = () => k.ok('get', 'events', '--field-selector', `involvedObject.name=${name}`);
      await until(`events of ${name}`, async () => (await about()).includes('FailedScheduling'));
      expect(await about()).toContain(why);
      const { status: known } = await pod(name);
      expect(known).toMatchObject({ phase: 'Pending' });
      expect(known?.conditions).toContainEqual(
        expect.objectContaining({ type: 'PodScheduled', status: 'False', reason: 'Unschedulable' }),
      );
    }
    await k.ok('label', 'node', 'n2', 'disk=ssd');
    await ready('picky');
    expect((await pod('picky')).spec?.nodeName).toBe('n2');
    await k.ok('label', 'node', 'n2', 'disk-');
  });

  it('weighs under 20 MB as a responder, and runs the real nginx for its image', async () => {
    await create(responderPod('light', 'light'), watched('web', '', { image: 'nginx', command: undefined }));
    await ready('light', 'web');
    const rss = await k.shell('light', "awk '/^VmRSS/ {print $2}' /proc/[0-9]*/status");
    const total = rss.stdout.split('\n').reduce((sum, line) => sum + Number(line), 0);
    expect(total).toBeGreaterThan(0);
    expect(total).toBeLessThan(20_000);
    const page = await k.ok('exec', 'web', '--', 'curl', '-sS', 'http://127.0.0.1/');
    expect(page).toContain('<title>Welcome to nginx!</title>');
  });
});
