/** `--prove` on the command line: what is foretold beside what the kernel does, on the kernel that runs and on a guest's. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Exec } from '../../src/exec/exec.ts';

const MAIN = new URL('../../src/cli/main.ts', import.meta.url).pathname;
const node = (name: string, at: number) => `
apiVersion: v1
kind: Node
metadata: {name: ${name}}
spec: {podCIDR: 172.16.${at}.0/24}
status: {addresses: [{type: InternalIP, address: 192.168.0.1${at}}, {type: ExternalIP, address: 100.64.1.${at}}]}
---`;
const YAML = `${node('n1', 1)}${node('n2', 2)}
apiVersion: v1
kind: Pod
metadata: {name: web, namespace: default, labels: {app: web}}
spec: {nodeName: n1, containers: [{name: web, ports: [{containerPort: 80}]}]}
status: {phase: Running, podIP: 172.16.1.10, conditions: [{type: Ready, status: "True"}]}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: default}
spec:
  type: NodePort
  externalTrafficPolicy: Local
  clusterIP: 10.247.0.10
  selector: {app: web}
  ports: [{port: 80, targetPort: 80, nodePort: 30080}]
`;

let folder = '';
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'fairlead-prove-'));
  writeFileSync(join(folder, 'cluster.yaml'), YAML);
});
afterAll(() => rmSync(folder, { recursive: true }));

const fairlead = (...args: string[]) =>
  new Exec().run({
    file: process.execPath,
    args: [MAIN, ...args, '-f', join(folder, 'cluster.yaml')],
    accept: [0, 1, 2],
    timeoutMs: 100_000,
  });

interface Cell {
  readonly verdict: string;
  readonly sourceSeen: readonly string[];
  readonly observed: {
    readonly verdict: string;
    readonly sourceSeen: readonly string[];
    readonly agrees: boolean;
  };
}

/** Where nothing answers, what a source would have been seen as is no more than foretold. */
const seenOf = ({ verdict, sourceSeen }: Pick<Cell, 'verdict' | 'sourceSeen'>) =>
  verdict === 'reached' ? [verdict, ...sourceSeen] : [verdict];

it.each(['nftables', 'iptables'])('a matrix has each cell proven, in the mode %s', async (mode) => {
  const { code, stdout, stderr } = await fairlead(
    'matrix',
    'svc/web',
    '--prove',
    '--set',
    `proxyMode=${mode}`,
    '-o',
    'json',
  );
  const { cells } = JSON.parse(stdout) as { cells: readonly Cell[] };
  expect(cells.length).toBeGreaterThan(30);
  for (const cell of cells) expect(seenOf(cell.observed)).toEqual(seenOf(cell));
  expect(cells.every(({ observed }) => observed.agrees)).toBe(true);
  expect(stderr).toContain(`${cells.length} agree, 0 differ, 0 unknown`);
  expect(code).toBe(2);
});

it('one connection is proven, and its exit code says whether it is reached', async () => {
  const reached = await fairlead('why', 'node/n2', 'svc/web', '--prove');
  expect(reached.code, reached.stderr).toBe(0);
  expect(reached.stdout).toContain('observed: reached as 172.16.2.1, as foretold');
  const dropped = await fairlead(
    'why',
    'external',
    'svc/web',
    '--at',
    'nodePort',
    '--node',
    'n2',
    '--address',
    'public',
    '--prove',
  );
  expect(dropped.code, dropped.stderr).toBe(2);
  expect(dropped.stdout).toContain('observed: timeout, as foretold');
});

it('what it has built stays on request until it is told to end, and can be entered', async () => {
  const args = [MAIN, 'why', 'pod/web', 'svc/web', '--prove', '--keep', '-f', join(folder, 'cluster.yaml')];
  const running = await new Exec().start(process.execPath, args, { stderr: 'pipe', stdout: 'ignore' });
  let said = '';
  const stands = new Promise<void>((resolve) => {
    running.stderr?.setEncoding('utf8').on('data', (piece: string) => {
      said += piece;
      if (/ {2}n2: .*\n/.test(said)) resolve();
    });
  });
  await Promise.race([stands, running.ended]);
  const words = / {2}n2: nsenter (.*) sh\n/.exec(said)?.[1]?.split(' ') ?? [];
  const { stdout } = await new Exec().run({ file: 'nsenter', args: [...words, 'ip', '-br', 'address'] });
  expect(stdout).toContain('192.168.0.12/32');
  running.kill('SIGINT');
  expect(await running.ended).toEqual({ code: 0, signal: null });
});
