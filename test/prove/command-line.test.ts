/** `--prove` on the command line: what is foretold beside what the kernel does, on the kernel that runs and on a guest's. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Exec } from '../../src/exec/exec.ts';
import { TWO_NODES } from './manifests.ts';

const MAIN = new URL('../../src/cli/main.ts', import.meta.url).pathname;

let folder = '';
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'fairlead-prove-'));
  writeFileSync(join(folder, 'cluster.yaml'), TWO_NODES);
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

it.each([
  ['a pod on a node that is not there', 'nodeName: n1', 'nodeName: n7', "is on the unknown node 'n7'"],
  ['two machines with one address', 'address: 192.168.0.12', 'address: 192.168.0.11', '192.168.0.11'],
  ['node ranges that overlap', 'podCIDR: 172.16.2.0/24', 'podCIDR: 172.16.0.0/16', 'overlaps'],
])('%s is refused before anything is built', async (_, right, wrong, reason) => {
  const file = join(folder, 'wrong.yaml');
  writeFileSync(file, TWO_NODES.replace(right, wrong));
  const args = [MAIN, 'matrix', 'svc/web', '--prove', '-f', file];
  const { code, stdout, stderr } = await new Exec().run({ file: process.execPath, args, accept: [0, 1, 2] });
  expect([code, stdout]).toEqual([1, '']);
  expect(stderr).toMatch(/^fairlead: FE011: /m);
  expect(stderr).toContain(reason);
  expect(stderr).not.toContain('kernel:');
});
