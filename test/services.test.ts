/** Services on a running cluster, with packets from pods, nodes and outside, in both networks and both proxy modes. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Node, Service } from '../src/kube/objects.ts';
import type { Kubectl } from './kubectl.ts';
import { responderPod, service, shellPod } from './manifests.ts';
import { Stand } from './stand.ts';
import { until } from './supervisor.ts';

const REFUSED = 7;
const SILENCE = 28;
const NODES = ['n1', 'n2', 'n3'] as const;
/** Of the client outside the VPC (TEST-NET-3, RFC 5737). */
const OUTSIDE = '203.0.113.10';

/** What a responder says of a request: who answered, and whom it saw. */
function read(page: string) {
  const [, pod, node] = /^pod \S+\/(\S+) on node (\S+) /m.exec(page) ?? [];
  const [, client] = /^client ([\d.]+):\d+$/m.exec(page) ?? [];
  return { pod, node, client };
}

describe.each([
  ['tunnel', 'nftables'],
  ['vpc', 'iptables'],
])('in the network %s with the proxy %s', { timeout: 60_000 }, (profile, mode) => {
  let stand: Stand;
  let k: Kubectl;
  /** Elastic and private addresses by node. */
  const eip = new Map<string, string>();
  const ip = new Map<string, string>();

  const create = (...objects: object[]) => k.send(['create', '-f', '-'], objects);
  const ready = (...names: string[]) =>
    k.ok('wait', '--for=condition=Ready', '--timeout=30s', ...names.map((name) => `pod/${name}`));
  const spec = async (name: string) => (await k.json<Service>('svc', name)).spec;
  const clusterIP = async (name: string) => (await spec(name))?.clusterIP ?? '';
  const nodePort = async (name: string) => (await spec(name))?.ports?.[0]?.nodePort ?? 0;
  /** curl in a pod. */
  const fetch = (pod: string, url: string, bound = 5) =>
    k.run(['exec', pod, '--', 'curl', '-sS', '--max-time', String(bound), url]);
  /** The Service's rules are everywhere: each node answers at its address. */
  const programmed = async (name: string) => {
    const address = await clusterIP(name);
    for (const node of NODES) {
      await until(
        `the rules of ${name} on ${node}`,
        async () => (await stand.curl(node, `http://${address}:8080/`)).code === 0,
      );
    }
  };

  beforeAll(async () => {
    stand = await Stand.up('--profile', profile, '--proxy-mode', mode);
    k = await stand.kubectl('svc');
    for (const { metadata, status } of (await k.json<{ items: Node[] }>('nodes')).items) {
      const address = (type: string) => status?.addresses?.find((one) => one.type === type)?.address ?? '';
      eip.set(metadata?.name ?? '', address('ExternalIP'));
      ip.set(metadata?.name ?? '', address('InternalIP'));
    }
    await create(
      responderPod('web-1', 'web', 'n1'),
      responderPod('web-2', 'web', 'n2'),
      ...NODES.map((node) => shellPod(`client-${node}`, undefined, { nodeName: node })),
      service('web', { type: 'NodePort' }),
      service('local', { type: 'NodePort', selector: { app: 'web' }, externalTrafficPolicy: 'Local' }),
      service('inside', { selector: { app: 'web' }, internalTrafficPolicy: 'Local' }),
      service('sticky', { selector: { app: 'web' }, sessionAffinity: 'ClientIP' }),
      service('lone', { selector: { app: 'single' } }),
      responderPod('single', 'single', 'n3'),
      service('empty', { type: 'NodePort' }),
      service('datagrams', {
        type: 'NodePort',
        selector: { app: 'web' },
        ports: [{ port: 8080, targetPort: 80, protocol: 'UDP' }],
      }),
    );
    await ready('web-1', 'web-2', 'single', ...NODES.map((node) => `client-${node}`));
    for (const name of ['web', 'local', 'sticky', 'lone']) await programmed(name);
  });
  afterAll(() => stand.down());

  it('answers pods and nodes by address and by name, from every endpoint', async () => {
    const address = await clusterIP('web');
    for (const node of NODES) {
      const seen = new Set<string | undefined>();
      const again = async () => {
        for (const url of [
          `http://${address}:8080/`,
          'http://web:8080/',
          'http://web.svc.svc.cluster.local:8080/',
        ]) {
          const { code, stdout, stderr } = await fetch(`client-${node}`, url);
          expect(code, `${url} from ${node}: ${stderr}`).toBe(0);
          seen.add(read(stdout).pod);
        }
        seen.add(read((await stand.curl(node, `http://${address}:8080/`)).stdout).pod);
        return seen.size === 2;
      };
      await until(`both pods to answer ${node}`, again, 20_000);
      expect([...seen].sort()).toEqual(['web-1', 'web-2']);
    }
  });

  it('answers at its node port: from outside at elastic addresses, from nodes and pods at private ones', async () => {
    const port = await nodePort('web');
    for (const node of NODES) {
      const outside = await stand.curl('external', `http://${eip.get(node)}:${port}/`);
      expect(outside.stdout, outside.stderr).toMatch(/^pod svc\/web-[12] /);
      const private_ = `http://${ip.get(node)}:${port}/`;
      expect((await stand.curl('n3', private_)).stdout).toMatch(/^pod svc\/web-[12] /);
      expect((await fetch('client-n3', private_)).stdout).toMatch(/^pod svc\/web-[12] /);
    }
  });

  it('keeps the client address with externalTrafficPolicy Local, and only nodes with a pod answer outside', async () => {
    const port = await nodePort('local');
    for (const [node, pod] of [
      ['n1', 'web-1'],
      ['n2', 'web-2'],
    ] as const) {
      for (let round = 0; round < 4; round++) {
        const { stdout } = await stand.curl('external', `http://${eip.get(node)}:${port}/`);
        expect(read(stdout)).toEqual({ pod, node, client: OUTSIDE });
      }
    }
    const other = await stand.curl('external', `http://${eip.get('n3')}:${port}/`, '--max-time', '2');
    expect(other.code).toBe(SILENCE);
    const { stdout } = await stand.curl('external', `http://${eip.get('n1')}:${await nodePort('web')}/`);
    expect(read(stdout).client).not.toBe(OUTSIDE);
    expect((await fetch('client-n3', 'http://local:8080/')).code).toBe(0);
  });

  it('stays on the node with internalTrafficPolicy Local', async () => {
    for (const node of ['n1', 'n2']) {
      for (let round = 0; round < 4; round++) {
        expect(read((await fetch(`client-${node}`, 'http://inside:8080/')).stdout).node).toBe(node);
      }
    }
    expect((await fetch('client-n3', 'http://inside:8080/', 2)).code).toBe(SILENCE);
  });

  it('lets a pod reach itself through its Service', async () => {
    for (let round = 0; round < 3; round++) {
      const { stdout, stderr } = await fetch('single', 'http://lone:8080/');
      expect(read(stdout).pod, stderr).toBe('single');
    }
  });

  it('refuses at once where there is no endpoint', async () => {
    const address = await clusterIP('empty');
    const port = await nodePort('empty');
    const tries = [
      () => fetch('client-n1', `http://${address}:8080/`),
      () => stand.curl('n1', `http://${address}:8080/`),
      () => stand.curl('external', `http://${eip.get('n1')}:${port}/`),
      () => fetch('client-n1', `http://${ip.get('n2')}:${port}/`),
    ];
    for (const attempt of tries) {
      await until('a refusal', async () => (await attempt()).code === REFUSED);
      const { stderr, code } = await attempt();
      expect(code, stderr).toBe(REFUSED);
      const [, after] = /after (\d+) ms/.exec(stderr) ?? [];
      expect(Number(after), stderr).toBeLessThan(1_000);
    }
  });

  it('carries datagrams, from pods and from outside', async () => {
    const ask = (host: string, port: number) =>
      `exec 3<>/dev/udp/${host}/${port}; for i in 1 2 3 4 5; do echo hello >&3; timeout 1 head -n1 <&3 && exit 0; done; exit 1`;
    const inside = await k.run([
      'exec',
      'client-n3',
      '--',
      'bash',
      '-c',
      ask(await clusterIP('datagrams'), 8080),
    ]);
    expect(inside.stdout, inside.stderr).toMatch(/^pod svc\/web-[12] /);
    const script = ask(eip.get('n3') ?? '', await nodePort('datagrams'));
    const outside = await stand.at('external').run({ file: 'bash', args: ['-c', script] });
    expect(outside.stdout).toMatch(/^pod svc\/web-[12] /);
  });

  it('sends a client where it was before with sessionAffinity ClientIP', async () => {
    for (const node of NODES) {
      const pods = new Set<string | undefined>();
      for (let round = 0; round < 8; round++) {
        pods.add(read((await fetch(`client-${node}`, 'http://sticky:8080/')).stdout).pod);
      }
      expect(pods.size).toBe(1);
    }
  });

  it('follows its pods: a new one is reached, a deleted one is not, with no connection lost', async () => {
    const script =
      'until [ -e /tmp/stop ]; do curl -s -o /dev/null -m 2 -w "%{http_code}\\n" http://web:8080/; done | sort | uniq -c';
    await k.shell('client-n3', 'rm -f /tmp/stop');
    const curling = k.shell('client-n3', script);
    await until('the curling to begin', async () => (await k.shell('client-n3', 'pgrep curl')).code === 0);
    await create(responderPod('web-3', 'web', 'n3'));
    await ready('web-3');
    await until(
      'the new pod to answer',
      async () => read((await fetch('client-n1', 'http://web:8080/')).stdout).pod === 'web-3',
    );
    await k.ok('delete', 'pod', 'web-3', '--grace-period=5');
    await k.shell('client-n3', 'touch /tmp/stop');
    const { stdout } = await curling;
    const codes = [...stdout.matchAll(/^ *\d+ (\d{3})$/gm)].map(([, code]) => code);
    expect(codes, stdout).toEqual(['200']);
  });
});
