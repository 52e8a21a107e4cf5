import { describe, expect, it } from 'vitest';
import { Addr, portOf } from '../ip/ip.ts';
import {
  chooseProfile,
  clusterFrom,
  type Inventory,
  inventoryOf,
  parseManifests,
} from '../world/from-objects/from-objects.ts';
import { answer, answerJson } from './answer.ts';
import { causeOf } from './cause-of.ts';
import { ladder } from './ladder.ts';
import { matrixHtml } from './matrix/html.ts';
import { matrices, matrixJson } from './matrix/matrix.ts';
import { matrixTable } from './matrix/table.ts';
import { NO_COLOURS } from './palette.ts';
import { readQuestion } from './question.ts';

const nodes = [1, 2].map(
  (at) => `
apiVersion: v1
kind: Node
metadata: { name: n${at} }
spec: { podCIDR: 172.16.${at}.0/24 }
status: { addresses: [{ type: InternalIP, address: 192.168.0.1${at} }] }`,
);
const pod = (name: string, node: number, ip: string, container: string) => `
apiVersion: v1
kind: Pod
metadata: { name: ${name}, namespace: default, labels: { app: ${name.replace(/-.*/, '')} } }
spec: { nodeName: n${node}, containers: [{ name: c${container} }] }
status: { phase: Running, podIP: ${ip}, conditions: [{ type: Ready, status: "True" }] }`;
const service = `
apiVersion: v1
kind: Service
metadata: { name: web, namespace: default }
spec: { clusterIP: 10.247.0.10, selector: { app: web }, ports: [{ port: 80, targetPort: 81 }] }`;

type Sockets = Inventory['sockets'];

function clusterWith(container: string, sockets?: Sockets) {
  const text = [
    ...nodes,
    pod('client', 1, '172.16.1.10', ''),
    pod('web-a', 1, '172.16.1.11', container),
    pod('web-b', 2, '172.16.2.11', container),
    service,
  ].join('\n---');
  const written = inventoryOf(parseManifests('x.yaml', text), 'default');
  const inventory = { ...written, ...(sockets && { sockets }) };
  return clusterFrom(inventory, chooseProfile(inventory, {}));
}

const asked = (container: string, to: string, sockets?: Sockets) => {
  const cluster = clusterWith(container, sockets);
  const question = readQuestion(cluster, { from: 'pod/client', to, namespace: 'default' });
  return { cluster, found: answer(cluster, question, causeOf) };
};
const GUESS = "'default/web-a' and 1 more listen on 81/TCP, where Services send: they declare no ports";

describe('what is taken for granted of processes', () => {
  it('is named where a pod that declares no port is reached, in text and JSON', () => {
    const { cluster, found } = asked('', 'svc/web');
    expect(found.verdict).toBe('reached');
    expect(found.assumptions).toEqual([GUESS]);
    expect(ladder(cluster, found, NO_COLOURS)).toContain(`\nassumed: ${GUESS}\n`);
    expect(answerJson(found)).toMatchObject({ assumptions: [GUESS] });
  });

  it('is named once for a matrix, however many cells rest on it', () => {
    const cluster = clusterWith('');
    const [found] = matrices(cluster, ['default/web']);
    if (found === undefined) throw new Error('a Service with an address has a matrix');
    expect(found.cells.length).toBeGreaterThan(1);
    expect(matrixJson(cluster, found)).toMatchObject({ assumptions: [GUESS] });
    expect(matrixTable(cluster, found, NO_COLOURS).split(GUESS)).toHaveLength(2);
    expect(matrixHtml(cluster, [found])).toContain('and 1 more listen on 81/TCP');
  });

  it('is named where nothing is known to send to the port that was dialled', () => {
    const { found } = asked('', '172.16.1.11:8080');
    expect(found.verdict).toBe('refused');
    expect(found.assumptions).toEqual([
      "nothing of 'default/web-a' listens on 8080/TCP, where no Service sends: it declares no ports",
    ]);
  });

  it.each([
    ['on every address', undefined, 'reached', undefined],
    ['on loopback', '127.0.0.1', 'refused', 'default/web-a got it and listens on port 81 at 127.0.0.1 alone'],
    ['on its own address', '172.16.1.11', 'reached', undefined],
  ])('is nothing where sockets were read: %s', (_, at, verdict, because) => {
    const addr = at === undefined ? {} : { addr: Addr.parse(at) };
    const sockets = new Map([['default/web-a', [{ protocol: 'TCP' as const, port: portOf(81), ...addr }]]]);
    const { found } = asked('', '172.16.1.11:81', sockets);
    expect([found.verdict, found.assumptions]).toEqual([verdict, []]);
    const both = asked('', 'svc/web', sockets).found;
    expect(both.outcomes.map(({ outcome, cause }) => [outcome.verdict, cause?.because])).toEqual([
      [verdict, because],
      ['reached', undefined],
    ]);
    expect(both.assumptions).toEqual([
      "'default/web-b' listens on 81/TCP, where Services send: it declares no ports",
    ]);
  });

  it.each([', ports: [{ containerPort: 81 }]', ', ports: [{ containerPort: 82 }]'])(
    'is nothing where the containers declare ports (%s)',
    (ports) => {
      const { cluster, found } = asked(ports, 'svc/web');
      expect(found.verdict).toBe(ports.includes('81') ? 'reached' : 'refused');
      expect(found.assumptions).toEqual([]);
      expect(answerJson(found)).not.toHaveProperty('assumptions');
      const [all] = matrices(cluster, ['default/web']);
      if (all === undefined) throw new Error('a Service with an address has a matrix');
      expect(matrixJson(cluster, all)).not.toHaveProperty('assumptions');
    },
  );
});
