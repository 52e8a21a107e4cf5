import { describe, expect, it } from 'vitest';
import type { Cluster } from '../world/from-objects/from-objects.ts';
import { answer, answerJson } from './answer.ts';
import { causeOf } from './cause-of.ts';
import { ladder } from './ladder.ts';
import { matrices, matrixJson } from './matrix/matrix.ts';
import { matrixTable } from './matrix/table.ts';
import { COLOURS, NO_COLOURS } from './palette.ts';
import { mermaid } from './picture/mermaid.ts';
import { type QuestionText, readQuestion } from './question.ts';
import { clusterOf, exampleText } from './test-examples.ts';

function example(name: string, set: Record<string, string> = {}, more = ''): Cluster {
  return clusterOf(exampleText(name) + more, set);
}

const ask = (cluster: Cluster, from: string, to: string, rest: Partial<QuestionText> = {}) =>
  answer(cluster, readQuestion(cluster, { from, to, namespace: 'default', ...rest }), causeOf);

const SECOND = `
---
apiVersion: v1
kind: Pod
metadata: {name: nginx-1, labels: {app: nginx}}
spec: {nodeName: n2, containers: [{name: nginx, ports: [{containerPort: 81}]}]}
status: {phase: Running, podIP: 10.0.2.10, conditions: [{type: Ready, status: "True"}]}
`;

/** Update with `vitest -u`, and read what changed. */
const golden = (text: string, name: string) => expect(text).toMatchFileSnapshot(`goldens/${name}`);

describe('an answer for a person', () => {
  it('is a ladder', async () => {
    const cluster = example('three-nodes');
    const found = ask(cluster, 'pod/near', 'svc/nginx', { at: 'loadBalancer' });
    await golden(ladder(cluster, found, NO_COLOURS), 'ladder-loopback.txt');
  });

  it('tells apart what depends on chance', async () => {
    const cluster = example('three-nodes', {}, SECOND);
    const found = ask(cluster, 'pod/far', 'svc/nginx');
    expect(found.verdict).toBe('mixed');
    await golden(ladder(cluster, found, NO_COLOURS), 'ladder-mixed.txt');
  });

  it('is a sequence diagram', async () => {
    await golden(mermaid(ask(example('three-nodes'), 'pod/far', 'svc/nginx')), 'sequence.mmd');
  });

  it('has colours only where it is asked to', () => {
    const cluster = example('three-nodes');
    const found = ask(cluster, 'pod/far', 'svc/nginx');
    const coloured = ladder(cluster, found, COLOURS);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: what colours are made of
    expect(coloured.replaceAll(/\u001b\[\d+m/g, '')).toBe(ladder(cluster, found, NO_COLOURS));
    expect(coloured).not.toBe(ladder(cluster, found, NO_COLOURS));
  });
});

describe('an answer for a program', () => {
  it('has the shape of the contract', () => {
    const cluster = example('three-nodes', {}, SECOND);
    const { verdict, outcomes, fixes } = JSON.parse(
      JSON.stringify(answerJson(ask(cluster, 'pod/far', 'svc/nginx'))),
    );
    expect({ verdict, fixes }).toEqual({ verdict: 'mixed', fixes: [] });
    expect(outcomes).toMatchObject([
      {
        probability: 0.5,
        verdict: 'reached',
        endpoint: { ip: '10.0.1.10', port: 80, pod: 'default/nginx-0', node: 'n1' },
        sourceSeen: '10.0.2.1',
      },
      { probability: 0.5, verdict: 'refused', cause: { code: 'FL022', title: expect.any(String) } },
    ]);
    const [step] = outcomes[0].hops[1].steps.filter(
      ({ changes }: { changes: unknown[] }) => changes.length > 0,
    );
    expect(step).toMatchObject({
      kind: 'rule',
      detail: expect.any(String),
      changes: [{ field: 'mark', from: '0x0', to: '0x4000' }],
    });
  });

  it('shares the chances of a name among its addresses', () => {
    const headless = `---
apiVersion: v1
kind: Service
metadata: {name: peers}
spec: {clusterIP: None, selector: {app: nginx}, ports: [{port: 80}]}
`;
    const { outcomes } = ask(example('three-nodes', {}, `${SECOND}${headless}`), 'pod/far', 'peers:80');
    expect(outcomes.map(({ probability, outcome }) => [probability, outcome.verdict])).toEqual([
      [0.5, 'reached'],
      [0.5, 'refused'],
    ]);
  });
});

describe('a matrix', () => {
  it('is several tables where a terminal is narrow', () => {
    const cluster = example('three-nodes');
    const [matrix] = matrices(cluster, undefined);
    if (matrix === undefined) throw new Error('the example has a Service');
    const lines = (width?: number) => matrixTable(cluster, matrix, NO_COLOURS, width).split('\n');
    const tableOf = (all: readonly string[]) =>
      all.filter((line) => /^(clusterIP|podIP|serverNode)/.test(line));
    expect(tableOf(lines(80)).length).toBe(2 * tableOf(lines()).length);
    expect(Math.max(...tableOf(lines(80)).map((line) => line.length))).toBeLessThanOrEqual(80);
  });

  it('is a table of clients and addresses', async () => {
    const cluster = example('three-nodes', { proxyMode: 'iptables' });
    const text = matrices(cluster, undefined).map((one) => matrixTable(cluster, one, NO_COLOURS));
    await golden(text.join('\n'), 'matrix-three-nodes.txt');
  });

  it("shows the listeners that are not this Service's", async () => {
    const cluster = example('shared-balancer');
    const text = matrices(cluster, ['default/svc1']).map((one) => matrixTable(cluster, one, NO_COLOURS));
    await golden(text.join('\n'), 'matrix-shared-balancer.txt');
  });

  it('has the cells of the contract', () => {
    const cluster = example('three-nodes');
    const [json] = matrices(cluster, ['default/nginx'], causeOf).map((one) => matrixJson(cluster, one));
    expect(json).toMatchObject({ profile: { cloud: 'cce', network: 'tunnel' }, service: 'default/nginx' });
    expect(json?.cells).toContainEqual(
      expect.objectContaining({
        client: 'pod:other',
        from: 'default/far',
        node: 'n2',
        target: 'ownNode.private',
        address: '192.168.0.12:30080',
        verdict: 'timeout',
        sourceSeen: [],
        endpoints: [],
        cause: 'FL001',
      }),
    );
  });

  it('has the cells of each port of a Service with several', () => {
    const pair = `---
apiVersion: v1
kind: Service
metadata: {name: pair}
spec: {clusterIP: 10.247.0.11, selector: {app: nginx}, ports: [{name: http, port: 80}, {name: dns, port: 53, protocol: UDP}]}
`;
    const [matrix] = matrices(example('three-nodes', {}, pair), ['default/pair']);
    const verdicts = matrix?.cells.filter(
      ({ target, client }) => target === 'clusterIP' && client === 'pod:other',
    );
    expect(verdicts?.map(({ port, verdict }) => [port, verdict])).toEqual([
      ['http', 'reached'],
      ['dns', 'refused'],
    ]);
  });

  it('lists the Services there are for one that there is not', () => {
    expect(() => matrices(example('three-nodes'), ['default/web'])).toThrow(
      expect.objectContaining({ code: 'FE013', cure: 'there are: default/nginx' }),
    );
  });
});
