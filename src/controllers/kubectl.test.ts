import { access } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Exec } from '../exec/exec.ts';
import type { StatefulSet } from '../kube/objects.ts';
import { RESOURCES } from '../kube/resources.ts';
import { startTestCluster, type TestCluster } from './test-cluster.ts';

/** The oldest and the newest kubectl of the machine, and the one its users get. */
const KUBECTLS = [
  '/usr/lib/google-cloud-sdk/bin/kubectl.1.28',
  '/usr/lib/google-cloud-sdk/bin/kubectl.1.33',
  process.env.FAIRLEAD_KUBECTL ?? '/usr/bin/kubectl',
];

let cluster: TestCluster;

beforeAll(async () => {
  cluster = await startTestCluster();
  await cluster.addNode('n1');
}, 30_000);

afterAll(() => cluster.stop());

describe.each(KUBECTLS)('%s', (file) => {
  const namespace = `ns-${KUBECTLS.indexOf(file)}`;

  async function kubectl(...args: string[]): Promise<string> {
    const output = await new Exec().run({
      file,
      args: ['--kubeconfig', cluster.kubeconfig, '-n', namespace, ...args],
      // kubectl keeps what it discovers; a folder of ours would outlive the cluster.
      env: { HOME: `${cluster.kubeconfig}.home` },
    });
    return output.stdout;
  }

  it('is on this machine', () => access(file));

  it('follows a rollout to its end, restarts it and takes it back', async () => {
    await kubectl('create', 'namespace', namespace);
    await kubectl('create', 'deployment', 'web', '--image=nginx:1');
    await kubectl('scale', 'deployment/web', '--replicas=3');
    expect(await kubectl('rollout', 'status', 'deployment/web', '--timeout=20s')).toContain(
      'deployment "web" successfully rolled out',
    );
    await kubectl('set', 'image', 'deployment/web', 'nginx=nginx:2');
    await kubectl('rollout', 'status', 'deployment/web', '--timeout=20s');
    await kubectl('rollout', 'restart', 'deployment/web');
    await kubectl('rollout', 'status', 'deployment/web', '--timeout=20s');
    const image = () => kubectl('get', 'pods', '-o', 'jsonpath={.items[*].spec.containers[0].image}');
    expect(await image()).toMatch(/^nginx:2( nginx:2)*$/);
    expect(await kubectl('rollout', 'history', 'deployment/web')).toMatch(/\n1 .*\n2 .*\n3 /);
    await kubectl('rollout', 'undo', 'deployment/web', '--to-revision=1');
    await kubectl('rollout', 'status', 'deployment/web', '--timeout=20s');
    const living = () =>
      kubectl(
        'get',
        'rs',
        '-o',
        'jsonpath={range .items[?(@.spec.replicas>0)]}{.spec.template.spec.containers[0].image}{end}',
      );
    expect(await living()).toBe('nginx:1');
    expect(await kubectl('rollout', 'history', 'deployment/web')).toMatch(/\n2 .*\n3 .*\n4 /);
  });

  it('pauses and resumes', async () => {
    await kubectl('rollout', 'pause', 'deployment/web');
    await kubectl('set', 'image', 'deployment/web', 'nginx=nginx:5');
    expect(
      await kubectl('get', 'rs', '-o', 'jsonpath={.items[*].spec.template.spec.containers[0].image}'),
    ).not.toContain('nginx:5');
    await kubectl('rollout', 'resume', 'deployment/web');
    await kubectl('rollout', 'status', 'deployment/web', '--timeout=20s');
  });

  it('describes the Deployment and the Service as people know them', async () => {
    await kubectl('expose', 'deployment', 'web', '--port=8080', '--target-port=80');
    await kubectl('scale', 'deployment/web', '--replicas=2');
    await kubectl('rollout', 'status', 'deployment/web', '--timeout=20s');
    const deployment = await kubectl('describe', 'deployment', 'web');
    expect(deployment).toMatch(
      /Replicas: +2 desired \| 2 updated \| 2 total \| 2 available \| 0 unavailable/,
    );
    expect(deployment).toMatch(/Progressing +True +NewReplicaSetAvailable/);
    expect(deployment).toMatch(
      /ScalingReplicaSet .*deployment-controller +(\(combined.*\): )?Scaled up replica set web-/,
    );
    expect(await kubectl('describe', 'service', 'web')).toMatch(
      /Endpoints: +172\.16\.\d+\.\d+:80,172\.16\.\d+\.\d+:80\n/,
    );
    expect(await kubectl('get', 'endpoints', 'web')).toMatch(
      /web +172\.16\.\d+\.\d+:80,172\.16\.\d+\.\d+:80 /,
    );
  });

  it('follows a StatefulSet and takes it back', async () => {
    await cluster.client.create<StatefulSet>(RESOURCES.statefulsets, {
      metadata: { name: 'db', namespace },
      spec: {
        serviceName: 'db',
        replicas: 2,
        selector: { matchLabels: { app: 'db' } },
        template: {
          metadata: { labels: { app: 'db' } },
          spec: { containers: [{ name: 'c', image: 'db:1' }] },
        },
      },
    });
    await kubectl('rollout', 'status', 'statefulset/db', '--timeout=20s');
    await kubectl('set', 'image', 'statefulset/db', 'c=db:2');
    expect(await kubectl('rollout', 'status', 'statefulset/db', '--timeout=20s')).toContain(
      'partitioned roll out complete: 2 new pods have been updated',
    );
    expect(await kubectl('rollout', 'history', 'statefulset/db')).toMatch(/\n1 .*\n2 /);
    await kubectl('rollout', 'undo', 'statefulset/db');
    await kubectl('rollout', 'status', 'statefulset/db', '--timeout=20s');
    const images = await kubectl(
      'get',
      'pods',
      '-l',
      'app=db',
      '-o',
      'jsonpath={.items[*].spec.containers[0].image}',
    );
    expect(images).toBe('db:1 db:1');
  });
});
