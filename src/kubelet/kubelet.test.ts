import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ConfigMap, Lease, Node, Pod, PodSpec } from '../kube/objects.ts';
import { RESOURCES } from '../kube/resources.ts';
import { isReady, NODE, TestNode, USERS } from './test-node.ts';

const shell = (script: string, more: Partial<PodSpec['containers'][number]> = {}) => ({
  name: 'c',
  image: 'busybox',
  command: ['sh', '-c', script],
  ...more,
});
const SLEEP = 'trap "exit 0" TERM; echo up; while :; do sleep 0.1; done';
const exitOf = (pod: Pod | undefined) => pod?.status?.containerStatuses?.[0]?.state?.terminated;
const fetchText = async (node: TestNode, url: string, ...args: string[]) =>
  (await node.at().run({ file: 'curl', args: ['-sS', '--max-time', '3', ...args, url] })).stdout;

describe.each(USERS)('a node agent of $name', ({ options }) => {
  let node: TestNode;
  beforeAll(async () => {
    node = await TestNode.open(options);
  }, 30_000);
  afterAll(async () => await node?.close());

  it('registers a Node that is ready and renews its Lease', async () => {
    await node.run('first', { containers: [shell(SLEEP)] });
    await node.ready('first');
    const known = await node.client.get<Node>(RESOURCES.nodes, NODE);
    expect(known.status?.addresses).toContainEqual({ type: 'InternalIP', address: '192.168.0.11' });
    expect(known.status?.conditions).toContainEqual(
      expect.objectContaining({ type: 'Ready', status: 'True' }),
    );
    expect(known.status?.nodeInfo?.containerRuntimeVersion).toMatch(/^crun:\/\/\d/);
    const lease = await node.client.get<Lease>(RESOURCES.leases, NODE, 'kube-node-lease');
    expect(lease.spec?.holderIdentity).toBe(NODE);
  });

  it('serves the stock page with the real nginx and answers for other images', async () => {
    const probe = { httpGet: { port: 'http', path: '/' } };
    const ports = [{ name: 'http', containerPort: 80 }];
    await node.run('web', {
      containers: [{ name: 'c', image: 'nginx:alpine', ports, readinessProbe: probe }],
    });
    await node.run('echo', {
      containers: [{ name: 'c', image: 'nope:1', ports: [{ containerPort: 8080 }] }],
    });
    const [web, echo] = await Promise.all([node.ready('web'), node.ready('echo')]);
    expect(await fetchText(node, `http://${web.status?.podIP}`)).toContain(
      '<title>Welcome to nginx!</title>',
    );
    const seen = await fetchText(
      node,
      `http://${echo.status?.podIP}:8080/x`,
      '-H',
      'Accept: application/json',
    );
    const facts = { pod: 'echo', namespace: 'default', node: NODE, client: '192.168.0.11', path: '/x' };
    expect(JSON.parse(seen)).toMatchObject({ ...facts, ip: echo.status?.podIP, localPort: 8080 });
    const told = await node.told('echo', /^Started/);
    expect(told[0]).toBe(
      'Pulled: Container image "nope:1" is not pulled: a responder stands for it, which answers HTTP, TCP and UDP on its ports',
    );
    expect(told.slice(1)).toEqual(['Created: Created container: c', 'Started: Started container c']);
  });

  it("gives a pod Kubernetes' files, environment and credentials, and keeps the machine's own", async () => {
    const mark = `fairlead-${process.pid}-${options.privilege}`;
    const script = [
      'hostname',
      'grep -v "^#" /etc/hosts | tail -1 | cut -f2',
      'cat /etc/resolv.conf',
      'echo $KUBERNETES_SERVICE_HOST:$KUBERNETES_SERVICE_PORT $ME $(cat /var/run/secrets/kubernetes.io/serviceaccount/namespace)',
      'cat /var/run/secrets/kubernetes.io/serviceaccount/token | cut -c1-3',
      `echo x > /usr/${mark} && echo x > /etc/${mark} && echo x > /${mark} && echo written`,
      'echo /root/* /home/* /etc/ssh/*; echo done > /dev/termination-log',
    ].join('; ');
    const env = [{ name: 'ME', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } }];
    await node.run('facts', { restartPolicy: 'Never', containers: [shell(script, { env })] });
    const pod = await node.until('facts', (one) => one?.status?.phase === 'Succeeded', 'to succeed');
    expect(exitOf(pod)?.message).toBe('done\n');
    const log = await node.at().run({
      file: 'curl',
      args: [
        '-sS',
        '--unix-socket',
        `/run/fairlead/kubelet-${NODE}.sock`,
        'http://kubelet/containerLogs/default/facts/c',
      ],
    });
    expect(log.stdout).toBe(
      'facts\nfacts\nsearch default.svc.cluster.local svc.cluster.local cluster.local\nnameserver 10.247.3.10\n' +
        'options ndots:5\n10.247.0.1:443 facts default\neyJ\nwritten\n/root/* /home/* /etc/ssh/*\n',
    );
    for (const folder of ['/usr', '/etc', '']) expect(existsSync(`${folder}/${mark}`)).toBe(false);
  });

  it("runs the product's own programs", async () => {
    const containers = [{ name: 'c', image: 'fairlead/dns', args: ['--help'] }];
    await node.run('own', { restartPolicy: 'Never', containers });
    await node.until('own', (pod) => pod?.status?.phase === 'Succeeded', 'to succeed');
    const log = await node.at().run({
      file: 'curl',
      args: [
        '-sS',
        '--unix-socket',
        `/run/fairlead/kubelet-${NODE}.sock`,
        'http://kubelet/containerLogs/default/own/c',
      ],
    });
    expect(log.stdout).toContain('Usage: fairlead dns');
  });

  it('ends a deleted pod: SIGTERM, then nothing of it is left', async () => {
    await node.run('doomed', { containers: [shell(SLEEP)] });
    await node.ready('doomed');
    await node.delete('doomed');
    await node.until('doomed', (pod) => pod === undefined, 'to be gone', 5000);
    const { stdout } = await node
      .at()
      .run({ file: 'ls', args: ['/run/netns', `/run/fairlead/kubelet-${NODE}/pods`] });
    const uid = node.get('first')?.metadata?.uid ?? '';
    expect(stdout).toContain(`pod-${uid}`);
    await node.told('doomed', /^Killing: Stopping container c$/);
  });
});

describe('pods', () => {
  let node: TestNode;
  beforeAll(async () => {
    node = await TestNode.open(USERS[0]?.options ?? {});
  }, 30_000);
  afterAll(async () => await node?.close());

  it('outlive a kill -9 of the agent, and the next one adopts them', async () => {
    const readinessProbe = { tcpSocket: { port: 80 } };
    await node.run('kept', { containers: [{ name: 'c', image: 'nginx', readinessProbe }] });
    await node.run('orphan', { containers: [shell(SLEEP)] });
    const [before] = await Promise.all([node.ready('kept'), node.ready('orphan')]);
    await node.endAgent('SIGKILL');
    expect(await fetchText(node, `http://${before.status?.podIP}`)).toContain('Welcome to nginx!');
    await node.client.delete(
      RESOURCES.pods,
      { name: 'orphan', namespace: 'default' },
      { gracePeriodSeconds: 0 },
    );
    await node.startAgent();
    await node.run('after', { containers: [shell(SLEEP)] });
    const after = await node.ready('after');
    expect(after.status?.podIP).not.toBe(before.status?.podIP);
    const kept = node.get('kept');
    expect(kept?.status?.containerStatuses).toEqual(before.status?.containerStatuses);
    expect(kept?.status?.conditions).toEqual(before.status?.conditions);
    await node.delete('kept');
    await node.until('kept', (pod) => pod === undefined, 'to be gone', 5000);
    const { stdout } = await node.at().run({ file: 'ls', args: ['/run/netns'] });
    expect(stdout.match(/pod-/g)).toHaveLength(1);
  });

  it('are made anew where the agent died between making and noting it', async () => {
    await node.run('half', { containers: [shell(SLEEP)] });
    const before = await node.ready('half');
    await node.endAgent('SIGKILL');
    const idOf = (pod: Pod | undefined) => pod?.status?.containerStatuses?.[0]?.containerID;
    const folder = `${node.runtimeDir}/containers/${idOf(before)?.replace('crun://', '')}`;
    const { startedAt: _, ...unnoted } = JSON.parse(readFileSync(`${folder}/record.json`, 'utf8'));
    writeFileSync(`${folder}/record.json`, JSON.stringify(unnoted));
    await node.startAgent();
    await node.until('half', (pod) => isReady(pod) && idOf(pod) !== idOf(before), 'to be made anew');
    expect(existsSync(folder)).toBe(false);
    const { stdout } = await node.at().run({ file: 'ps', args: ['-eo', 'args='] });
    expect(stdout).not.toContain(idOf(before)?.replace('crun://', ''));
  });

  it('are ended within seconds when their object is deleted by force', async () => {
    await node.run('forced', { containers: [shell('trap "" TERM; while :; do sleep 0.1; done')] });
    const pod = await node.ready('forced');
    const key = { name: 'forced', namespace: 'default' };
    await node.client.delete(RESOURCES.pods, key, { gracePeriodSeconds: 0 });
    const netns = `/run/netns/pod-${pod.metadata?.uid}`;
    const gone = `while [ -e ${netns} ]; do sleep 0.05; done`;
    await node.at().run({ file: 'timeout', args: ['5', 'sh', '-c', gone] });
    const id = pod.status?.containerStatuses?.[0]?.containerID?.replace('crun://', '');
    const { stdout } = await node.at().run({ file: 'ps', args: ['-eo', 'args='] });
    expect(stdout).not.toContain(id);
  });

  it('run on when the agent is told to end', async () => {
    await node.run('steady', { containers: [{ name: 'c', image: 'echo' }] });
    const pod = await node.ready('steady');
    expect(await node.endAgent('SIGTERM')).toMatchObject({ code: 0 });
    expect(await fetchText(node, `http://${pod.status?.podIP}/healthz`)).toBe('ok\n');
    await node.startAgent();
  });

  it('say what they wait for when their ServiceAccount is missing', async () => {
    await node.run('lost', { serviceAccountName: 'nobody', containers: [shell(SLEEP)] });
    await node.told('lost', /^FailedMount: MountVolume\.SetUp failed: .*"nobody" not found/);
    const reason = (pod: Pod | undefined) => pod?.status?.containerStatuses?.[0]?.state?.waiting?.reason;
    await node.until('lost', (pod) => reason(pod) === 'ContainerCreating', 'to wait');
    await node.delete('lost');
    await node.until('lost', (pod) => pod === undefined, 'to be gone');
  });

  it('restart by policy with back-off', async () => {
    await node.run('crash', { containers: [shell('echo no >&2; exit 3')] });
    await node.run('once', { restartPolicy: 'Never', containers: [shell('exit 4')] });
    const looping = (pod: Pod | undefined) =>
      pod?.status?.containerStatuses?.[0]?.state?.waiting?.reason === 'CrashLoopBackOff';
    const crash = await node.until('crash', looping, 'to back off');
    const [status] = crash?.status?.containerStatuses ?? [];
    expect(status).toMatchObject({ restartCount: 1, ready: false });
    expect(status?.lastState?.terminated).toMatchObject({ exitCode: 3, reason: 'Error' });
    expect(status?.state?.waiting?.message).toMatch(
      /^back-off 10s restarting failed container=c pod=crash_default/,
    );
    const once = await node.until('once', (pod) => pod?.status?.phase === 'Failed', 'to fail');
    expect(exitOf(once)).toMatchObject({ exitCode: 4, reason: 'Error' });
    await node.told('crash', /^BackOff: Back-off restarting failed/);
  });

  it('name what cannot run in words of the runtime', async () => {
    await node.run('typo', {
      restartPolicy: 'Never',
      containers: [shell('', { command: ['no-such-program'] })],
    });
    const pod = await node.until('typo', (one) => one?.status?.phase === 'Failed', 'to fail');
    expect(exitOf(pod)).toMatchObject({ exitCode: 128, reason: 'StartError' });
    expect(exitOf(pod)?.message).toContain('no-such-program');
  });

  it('run init containers one after the other, sharing an emptyDir, before the containers', async () => {
    const volumeMounts = [{ name: 'shared', mountPath: '/shared' }];
    await node.run('staged', {
      restartPolicy: 'Never',
      volumes: [{ name: 'shared', emptyDir: {} }],
      initContainers: [
        { ...shell('echo one >> /shared/log', { volumeMounts }), name: 'i1' },
        { ...shell('echo two >> /shared/log', { volumeMounts }), name: 'i2' },
      ],
      containers: [shell('cat /shared/log > /dev/termination-log', { volumeMounts })],
    });
    const pod = await node.until('staged', (one) => one?.status?.phase === 'Succeeded', 'to succeed');
    expect(exitOf(pod)?.message).toBe('one\ntwo\n');
    expect(pod?.status?.initContainerStatuses?.map((one) => one.ready)).toEqual([true, true]);
  });

  it('wait for what they refer to, and then read it from environment and volumes', async () => {
    const env = [{ name: 'COLOUR', valueFrom: { configMapKeyRef: { name: 'paint', key: 'colour' } } }];
    await node.run('painted', {
      restartPolicy: 'Never',
      containers: [shell('echo $COLOUR > /dev/termination-log', { env })],
    });
    const waits = (pod: Pod | undefined) =>
      pod?.status?.containerStatuses?.[0]?.state?.waiting?.reason === 'CreateContainerConfigError';
    await node.until('painted', waits, 'to miss its ConfigMap');
    await node.client.create<ConfigMap>(
      RESOURCES.configmaps,
      {
        apiVersion: 'v1',
        kind: 'ConfigMap',
        metadata: { name: 'paint', namespace: 'default' },
        data: { colour: 'red' },
      },
      'default',
    );
    const painted = await node.until('painted', (one) => one?.status?.phase === 'Succeeded', 'to succeed');
    expect(exitOf(painted)?.message).toBe('red\n');
    await node.run('mounted', {
      restartPolicy: 'Never',
      volumes: [
        { name: 'paint', configMap: { name: 'paint', items: [{ key: 'colour', path: 'deep/c' }] } },
        {
          name: 'me',
          downwardAPI: { items: [{ path: 'ns', fieldRef: { fieldPath: 'metadata.namespace' } }] },
        },
      ],
      containers: [
        shell('cat /paint/deep/c /me/ns > /dev/termination-log; echo x > /paint/new', {
          volumeMounts: [
            { name: 'paint', mountPath: '/paint' },
            { name: 'me', mountPath: '/me' },
          ],
        }),
      ],
    });
    const mounted = await node.until(
      'mounted',
      (one) => one?.status?.phase === 'Failed',
      'to be refused a write',
    );
    expect(exitOf(mounted)?.message).toBe('reddefault');
  });

  it('are restarted when the liveness probe fails, and lose and regain readiness by their probe', async () => {
    const seconds = { periodSeconds: 1, failureThreshold: 1 };
    await node.run('sick', {
      containers: [
        shell(`touch /alive; ${SLEEP}`, {
          livenessProbe: { ...seconds, exec: { command: ['test', '-e', '/alive'] } },
          readinessProbe: { ...seconds, exec: { command: ['test', '-e', '/tmp/ready'] } },
        }),
      ],
    });
    const running = (pod: Pod | undefined) =>
      pod?.status?.containerStatuses?.[0]?.state?.running !== undefined;
    await node.until('sick', running, 'to run');
    expect(isReady(node.get('sick'))).toBe(false);
    const id = node.get('sick')?.status?.containerStatuses?.[0]?.containerID?.replace('crun://', '') ?? '';
    const crun = (...argv: string[]) =>
      node.at().run({
        file: 'crun',
        args: [`--root=/run/fairlead/kubelet-${NODE}/crun`, '--cgroup-manager=disabled', 'exec', id, ...argv],
      });
    await crun('touch', '/tmp/ready');
    await node.ready('sick');
    await crun('rm', '/alive');
    const restarted = (pod: Pod | undefined) => pod?.status?.containerStatuses?.[0]?.restartCount === 1;
    const sick = await node.until('sick', (pod) => restarted(pod) && running(pod), 'to be restarted');
    expect(isReady(sick)).toBe(false);
    await node.told('sick', /^Killing: Container c failed liveness probe, will be restarted$/);
    await node.told('sick', /^Unhealthy: Liveness probe failed/);
  });

  it('become ready only with their readiness gates', async () => {
    await node.run('gated', {
      readinessGates: [{ conditionType: 'example.com/in-rotation' }],
      containers: [shell(SLEEP)],
    });
    const gate = (pod: Pod | undefined) =>
      pod?.status?.conditions?.find((one) => one.type === 'Ready')?.reason === 'ReadinessGatesNotReady';
    await node.until('gated', gate, 'to wait for its gate');
    const condition = { type: 'example.com/in-rotation', status: 'True' };
    const key = { name: 'gated', namespace: 'default' };
    await node.client.patch<Pod>(
      RESOURCES.pods,
      key,
      'strategic',
      { status: { conditions: [condition] } },
      'status',
    );
    const pod = await node.ready('gated');
    expect(pod.status?.conditions).toContainEqual(expect.objectContaining(condition));
  });

  it('run their preStop hook, and get SIGKILL when the grace period is over', async () => {
    const preStop = { exec: { command: ['false'] } };
    await node.run('stubborn', {
      terminationGracePeriodSeconds: 1,
      containers: [shell('trap "" TERM; echo up; while :; do sleep 0.1; done', { lifecycle: { preStop } })],
    });
    await node.ready('stubborn');
    const since = Date.now();
    await node.delete('stubborn');
    const ended = await node.until(
      'stubborn',
      (pod) => pod === undefined || exitOf(pod) !== undefined,
      'to end',
    );
    expect(Date.now() - since).toBeGreaterThan(900);
    if (ended !== undefined) expect(exitOf(ended)).toMatchObject({ exitCode: 137 });
    await node.until('stubborn', (pod) => pod === undefined, 'to be gone');
    await node.told('stubborn', /^FailedPreStopHook/);
  });

  it('keep answering while they are being deleted', async () => {
    await node.run('leaving', { containers: [{ name: 'c', image: 'agnhost' }] });
    const pod = await node.ready('leaving');
    await node.delete('leaving');
    expect(await fetchText(node, `http://${pod.status?.podIP}/`)).toContain('pod default/leaving');
    await node.until('leaving', (one) => one === undefined, 'to be gone');
  });

  it("use the node's network with hostNetwork", async () => {
    await node.run('host', {
      hostNetwork: true,
      containers: [{ name: 'c', image: 'echo', ports: [{ containerPort: 9090 }] }],
    });
    const pod = await node.ready('host');
    expect(pod.status?.podIP).toBe('192.168.0.11');
    expect(await fetchText(node, 'http://192.168.0.11:9090/')).toContain('pod default/host');
  });

  it('are light: a responder and its monitor take under 20 MB', async () => {
    await node.run('light', { containers: [{ name: 'c', image: 'echo' }] });
    await node.ready('light');
    const { stdout } = await node.at().run({ file: 'ps', args: ['-eo', 'rss=,args='] });
    const largest = (pattern: RegExp) =>
      Math.max(
        ...stdout.split('\n').flatMap((line) => (pattern.test(line) ? [Number.parseInt(line, 10)] : [])),
      );
    expect(largest(/\d perl .*--pod=light/) + largest(/\d \S*conmon /)).toBeLessThan(20 * 1024);
  });
});
