/**
 * A lab that is kept: entered, changed behind the walk's back, and asked again. What somebody did there by hand is what the
 * walk cannot know, so it has to show as a mismatch, with all that tells why.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Exec, type Running } from '../../src/exec/exec.ts';
import { TWO_NODES } from './manifests.ts';

const MAIN = new URL('../../src/cli/main.ts', import.meta.url).pathname;
let folder = '';
let file = '';
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'fairlead-kept-'));
  file = join(folder, 'cluster.yaml');
  writeFileSync(file, TWO_NODES);
});
afterAll(() => rmSync(folder, { recursive: true }));

const fairlead = (...args: string[]) =>
  new Exec().run({ file: process.execPath, args: [MAIN, ...args], accept: [0, 1, 2], timeoutMs: 100_000 });

/** Starts a proof that keeps its lab, and resolves with the lab's number once it stands. */
async function keep(...more: string[]): Promise<{ running: Running; number: string; said: string }> {
  const args = [MAIN, 'matrix', 'svc/web', '--prove', '--keep', '-f', file, ...more];
  const running = await new Exec().start(process.execPath, args, { stderr: 'pipe', stdout: 'ignore' });
  let said = '';
  const stands = new Promise<void>((resolve) => {
    running.stderr?.setEncoding('utf8').on('data', (piece: string) => {
      said += piece;
      if (/^hosts: .*\n/m.test(said)) resolve();
    });
  });
  await Promise.race([stands, running.ended]);
  return { running, number: /--lab (\d+)/.exec(said)?.[1] ?? '', said };
}

describe('on the running kernel', () => {
  let running: Running;
  let lab = '';
  beforeAll(async () => ({ running, number: lab } = await keep()));
  afterAll(async () => {
    running.kill('SIGINT');
    await running.ended;
  });
  const enter = (host: string, ...command: string[]) => fairlead('enter', '--lab', lab, host, ...command);
  const proveThere = (...args: string[]) => fairlead(...args, '--prove', '--in', lab, '-f', file);

  it('a host is entered by its name, and the exit code is that of the command', async () => {
    const { stdout, stderr } = await enter('n2', 'ip', '-br', 'address');
    expect(stdout, stderr).toContain('192.168.0.12/32');
    expect((await enter('pod/web', 'ip', '-br', 'address')).stdout).toContain('172.16.1.10/32');
    expect((await enter('n2', 'sh', '-c', 'exit 2')).code).toBe(2);
    const gone = await enter('n9', 'true');
    expect([gone.code, gone.stderr]).toEqual([1, expect.stringContaining("has no host 'n9'")]);
  });

  it('tells a mismatch from all sides, and ends with 2', async () => {
    const question = ['why', 'node/n2', 'svc/web'];
    const before = await proveThere(...question);
    expect([before.code, before.stderr]).toEqual([0, expect.stringContaining('1 agree, 0 differ')]);

    const rule = 'ip saddr 172.16.2.1 tcp dport 80 counter reject';
    const hook = 'type filter hook forward priority 0;';
    const table = `table ip administrator { chain c { ${hook} ${rule}; }; }`;
    expect((await enter('n1', 'nft', table)).code).toBe(0);
    const { code, stdout, stderr } = await proveThere(...question);
    expect(code, stderr).toBe(2);
    expect(stderr).toContain('0 agree, 1 differ, 0 unknown');
    const parts = [
      'the kernel differs from what was foretold',
      'REACHED',
      'seen: refused',
      'tcp SYN 172.16.2.1:',
      'connections (conntrack -L)',
      'rules that counted it:',
      'table ip administrator chain c: ip saddr 172.16.2.1 tcp dport 80 counter packets',
      `again: fairlead why host/n2 10.247.0.10:80 --prove --in ${lab} -f ${file}`,
      'observed: refused, which was not foretold',
    ];
    let at = 0;
    for (const part of parts) {
      const found = stdout.toUpperCase().indexOf(part.toUpperCase(), at);
      expect(found, `'${part}' after\n${stdout.slice(at)}`).toBeGreaterThanOrEqual(at);
      at = found;
    }

    const again = /^again: fairlead (.*)$/m.exec(stdout)?.[1]?.split(' ') ?? [];
    expect((await fairlead(...again)).code).toBe(2);

    const matrix = await proveThere('matrix', 'svc/web', '-o', 'json');
    expect(matrix.code).toBe(2);
    const { cells } = JSON.parse(matrix.stdout) as { cells: { observed: { agrees: boolean } }[] };
    const agrees = cells.map(({ observed }) => observed.agrees);
    expect(agrees.filter((one) => !one).length).toBeGreaterThan(0);
    expect(agrees).toContain(true);
    expect(agrees).toEqual(agrees.toSorted((a, b) => Number(a) - Number(b)));
    expect(matrix.stderr).toContain('the kernel differs from what was foretold');

    expect((await enter('n1', 'nft', 'delete table ip administrator')).code).toBe(0);
    expect((await proveThere(...question)).code).toBe(0);
  });

  it('is not asked about a World that it does not hold', async () => {
    const other = join(folder, 'other.yaml');
    writeFileSync(other, TWO_NODES.replaceAll('name: n2', 'name: n3'));
    const { code, stderr } = await fairlead('why', 'node/n1', 'svc/web', '--prove', '--in', lab, '-f', other);
    expect([code, stderr]).toEqual([1, expect.stringContaining("has no host 'n3'")]);
  });
});

it('ends with its keeper, even by kill -9', async () => {
  const { running, number } = await keep();
  running.kill('SIGKILL');
  await running.ended;
  const { code, stderr } = await fairlead('enter', '--lab', number, 'n1', 'true');
  expect([code, stderr]).toEqual([1, expect.stringMatching(/there is no lab|has gone/)]);
});
