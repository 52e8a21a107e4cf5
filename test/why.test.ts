/** `fairlead why` and `fairlead matrix`: as commands on files, and on a running cluster beside the packets themselves. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Service } from '../src/kube/objects.ts';
import type { Kubectl } from './kubectl.ts';
import { responderPod, service, shellPod } from './manifests.ts';
import { Stand } from './stand.ts';
import { fairlead, until } from './supervisor.ts';

const EXAMPLE = new URL('../examples/three-nodes.yaml', import.meta.url).pathname;
const FILE = ['-f', EXAMPLE];

describe('on files', () => {
  it.each<[string, string[], number]>([
    ['reached', ['why', 'pod/far', 'svc/nginx'], 0],
    ['not reached', ['why', 'pod/near', 'svc/nginx', '--at', 'loadBalancer'], 2],
    ['a name that is none', ['why', 'pod/gone', 'svc/nginx'], 1],
    ['a profile field that is none', ['why', 'pod/far', 'svc/nginx', '--set', 'mode=ipvs'], 1],
    ['an option that is none', ['why', 'pod/far', 'svc/nginx', '--where'], 1],
    ['a matrix with failing cells', ['matrix', 'svc/nginx'], 2],
  ])('%s: %j ends with %i', async (_, args, code) => {
    expect((await fairlead([...args, ...FILE])).code).toBe(code);
  });

  it('prints data on standard output and what is wrong on standard error, without colours into a pipe', async () => {
    const reached = await fairlead(['why', 'pod/far', 'svc/nginx', ...FILE]);
    expect(reached).toMatchObject({
      stderr: '',
      stdout: expect.stringMatching(/^reached {2}pod\/default\/far → svc/),
    });
    const wrong = await fairlead(['why', 'pod/gone', 'svc/nginx', ...FILE]);
    expect(wrong).toMatchObject({
      stdout: '',
      stderr:
        "fairlead: FE013: there is no pod 'default/gone' (there are: default/far, default/near, default/nginx-0)\n",
    });
  });
});

/** What a person's curl shows: an answer, a refusal (7), or silence (28). */
const VERDICTS: Readonly<Record<number, string>> = { 0: 'reached', 7: 'refused', 28: 'timeout' };

interface Cell {
  readonly client: string;
  readonly from: string;
  readonly target: string;
  readonly address: string;
  readonly verdict: string;
  readonly sourceSeen: readonly string[];
}

describe.each([
  ['tunnel', 'iptables'],
  ['vpc', 'nftables'],
])('on a running cluster with the network %s and the proxy %s', { timeout: 120_000 }, (network, mode) => {
  let stand: Stand;
  let k: Kubectl;

  beforeAll(async () => {
    stand = await Stand.up('--profile', network, '--proxy-mode', mode);
    k = await stand.kubectl('why');
    await k.send(
      ['create', '-f', '-'],
      [
        responderPod('web-1', 'web', 'n1'),
        responderPod('plain', 'plain', 'n1', { ports: [] }),
        ...['n1', 'n2'].map((node) => shellPod(`client-${node}`, undefined, { nodeName: node })),
        service('local', { type: 'NodePort', selector: { app: 'web' }, externalTrafficPolicy: 'Local' }),
        service('wide', { type: 'NodePort', selector: { app: 'web' } }),
        service('wrong', { selector: { app: 'plain' }, ports: [{ port: 80, targetPort: 81 }] }),
      ],
    );
    await k.ok(
      'wait',
      '--for=condition=Ready',
      '--timeout=30s',
      'pod/web-1',
      'pod/plain',
      'pod/client-n1',
      'pod/client-n2',
    );
    for (const name of ['local', 'wide']) {
      const { spec } = await k.json<Service>('svc', name);
      for (const node of ['n1', 'n2', 'n3']) {
        await until(
          `the rules of ${name} on ${node}`,
          async () => (await stand.curl(node, `http://${spec?.clusterIP}:8080/`)).code === 0,
        );
      }
    }
  });
  afterAll(() => stand.down());

  const ask = (...args: string[]) => fairlead([...args, '--kubeconfig', stand.data.kubeconfig, '-n', 'why']);

  async function dial({ client, from, address }: Cell) {
    const url = `http://${address}/`;
    if (!client.startsWith('pod')) return stand.curl(from, url, '--max-time', '2');
    return k.run(['exec', from.replace('why/', ''), '--', 'curl', '-sS', '--max-time', '2', url]);
  }

  it.each(['local', 'wide'])('every cell of the matrix of %s is what packets do', async (name) => {
    const { stdout } = await ask('matrix', `svc/${name}`, '-o', 'json');
    const { profile, cells } = JSON.parse(stdout) as { profile: Record<string, unknown>; cells: Cell[] };
    expect(profile).toMatchObject({ network, proxyMode: mode });
    // A machine of the VPC outside the cluster is assumed, and does not run.
    const dialled = cells.filter(({ client }) => client !== 'vpc-host');
    expect(dialled.length).toBeGreaterThan(30);
    const found = await Promise.all(
      dialled.map(async (cell) => {
        const { code, stdout: page } = await dial(cell);
        const [, seen] = /^client ([\d.]+):\d+$/m.exec(page) ?? [];
        return [
          `${cell.client} ${cell.target} ${cell.address}`,
          VERDICTS[code] ?? code,
          seen === undefined ? [] : [seen],
        ];
      }),
    );
    expect(
      dialled.map((cell) => [
        `${cell.client} ${cell.target} ${cell.address}`,
        cell.verdict,
        cell.verdict === 'reached' ? cell.sourceSeen : [],
      ]),
    ).toEqual(found);
  });

  it('the same World stands once more in a lab of its own, and the kernel agrees there as well', async () => {
    const { stdout, stderr } = await ask('matrix', 'svc/local', '--prove', '--kernel', 'host', '-o', 'json');
    expect(stderr).toMatch(/^proven: \d{2,} agree, 0 differ, 0 unknown$/m);
    const { cells } = JSON.parse(stdout) as { cells: { observed: { agrees: boolean } }[] };
    expect(cells.filter(({ observed }) => observed.agrees)).toHaveLength(cells.length);
    const way = ['why', 'pod/client-n2', 'svc/wide', '--prove', '--kernel', 'host'];
    const one = await ask(...way);
    expect(one.stderr).toContain('proven: 1 agree, 0 differ, 0 unknown');
    expect([one.code, one.stdout]).toEqual([0, expect.stringContaining('observed: reached')]);
  });

  it('where a pod listens is read from its node: no port need be declared to know a wrong one', async () => {
    const { code, stdout } = await ask('why', 'pod/client-n2', 'svc/wrong', '-o', 'json');
    const { verdict, outcomes, fixes, assumptions } = JSON.parse(stdout);
    expect([code, verdict, outcomes[0].cause.code, assumptions]).toEqual([2, 'refused', 'FL022', undefined]);
    expect(fixes[0].title).toBe('set targetPort: 80, on which the pod listens');
    const dialled = await k.run([
      'exec',
      'client-n2',
      '--',
      'curl',
      '-sS',
      '--max-time',
      '2',
      'http://wrong',
    ]);
    expect(dialled.code).toBe(7);
    await k.ok('patch', 'svc', 'wrong', '-p', '{"spec":{"ports":[{"port":80,"targetPort":80}]}}');
    const right = JSON.parse((await ask('why', 'pod/client-n2', 'svc/wrong', '-o', 'json')).stdout);
    expect([right.verdict, right.assumptions]).toEqual(['reached', undefined]);
  });

  it('a failing connection is explained', async () => {
    const { code, stdout } = await ask('why', 'external', 'svc/local', '--at', 'nodePort', '--node', 'n2');
    expect(code).toBe(2);
    expect(stdout).toMatch(/^timeout .*\n.*\n\nFL001: policy Local/);
  });
});
