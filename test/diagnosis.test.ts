/** The commands that answer from descriptions, as a person or a pipeline gives them: output, messages and exit codes. */
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { Exec, HERE, type Output } from '../src/exec/exec.ts';

const main = fileURLToPath(new URL('../src/cli/main.ts', import.meta.url));
const example = (code: string): string =>
  fileURLToPath(new URL(`../src/diagnose/testdata/${code}.yaml`, import.meta.url));

const fairlead = (...args: string[]): Promise<Output> =>
  new Exec(HERE).run({
    file: process.execPath,
    args: [main, ...args],
    env: { NO_COLOR: '1' },
    accept: [0, 1, 2],
  });

describe('fairlead explain', () => {
  it('prints a page; a code that is none is an error that lists what there is', async () => {
    const known = await fairlead('explain', 'FL001');
    expect([known.code, known.stdout.split('\n', 1)[0]]).toEqual([
      0,
      '# FL001: policy Local, and the node has no endpoint: dropped',
    ]);
    const unknown = await fairlead('explain', 'FL999');
    expect([unknown.code, unknown.stdout]).toEqual([1, '']);
    expect(unknown.stderr).toContain("there is no code 'FL999' (there are FL001, FL002,");
  });
});

describe('fairlead lint', () => {
  it('tells findings with 2, nothing with 0, and what it cannot read with 1', async () => {
    const found = await fairlead('lint', '-f', example('FL031'), '-o', 'json');
    expect(found.code).toBe(2);
    expect(JSON.parse(found.stdout).findings).toMatchObject([{ code: 'FL031', file: example('FL031') }]);
    const fine = await fairlead('lint', '-f', example('FL024'));
    expect([fine.code, fine.stdout, fine.stderr]).toEqual([0, '', 'nothing found\n']);
    const gone = await fairlead('lint', '-f', 'gone.yaml');
    expect([gone.code, gone.stdout]).toEqual([1, '']);
  });

  it('takes a profile from the command line, and leaves out what is less', async () => {
    const args = [
      'lint',
      '-f',
      example('FL020'),
      '--set',
      'proxyMode=ipvs',
      '--set',
      'kubernetesVersion=1.36',
    ];
    const all = await fairlead(...args);
    expect(all.stdout).toMatch(/^.*:\d+: warning FL032 .*$/m);
    const errors = await fairlead(...args, '--least', 'error');
    expect(errors.stdout).toMatch(/^.*:\d+: error FL020 /);
    expect(errors.stdout).not.toContain('FL032');
    expect(errors.stderr).toBe("1 error; 'fairlead explain CODE' says more\n");
  });
});

describe('fairlead diff', () => {
  it('tells changes with 2, none with 0, and a value that cannot be with 1', async () => {
    const changes = await fairlead(
      'diff',
      '-f',
      example('FL018'),
      '--to',
      'proxyMode=nftables',
      '-o',
      'json',
    );
    expect(changes.code).toBe(2);
    expect(JSON.parse(changes.stdout)).toMatchObject({
      before: { proxyMode: 'ipvs' },
      after: { proxyMode: 'nftables' },
      cells: [{ kind: 'better' }, { kind: 'worse', after: { cause: 'FL001' } }],
    });
    const none = await fairlead('diff', '-f', example('FL018'), '--to', 'kubernetesVersion=1.29');
    expect([none.code, none.stdout.trimEnd().split('\n').at(-1)]).toEqual([
      0,
      expect.stringMatching(/^0 of \d+ answers change$/),
    ]);
    const wrong = await fairlead('diff', '-f', example('FL018'), '--to', 'proxyMode=ebpf');
    expect([wrong.code, wrong.stdout]).toEqual([1, '']);
    expect(wrong.stderr).toContain("'ebpf' is no proxyMode");
  });
});

describe('fairlead why', () => {
  it('offers what helps, with the verdict after and the price', async () => {
    const { code, stdout } = await fairlead(
      'why',
      ...['pod/far', '192.168.0.13:30080', '-f', example('FL001'), '-o', 'json'],
    );
    const { outcomes, fixes } = JSON.parse(stdout);
    expect(code).toBe(2);
    expect(outcomes).toMatchObject([{ verdict: 'timeout', cause: { code: 'FL001' } }]);
    expect(fixes[0]).toEqual({
      title: 'inside the cluster, dial web.default.svc:80 (10.247.0.10)',
      patch: { dial: 'web.default.svc:80' },
      verdictAfter: 'reached',
      costs: [],
    });
  });
});

describe('fairlead matrix', () => {
  it('says that a Service has no address of its own', async () => {
    const headless = 'apiVersion: v1\nkind: Service\nmetadata: {name: bare}\nspec: {clusterIP: None}\n';
    const { code, stdout, stderr } = await new Exec(HERE).run({
      file: process.execPath,
      args: [main, 'matrix', 'svc/bare', '-f', example('FL001'), '-f', '-', '-o', 'json'],
      stdin: headless,
      accept: [1],
    });
    expect([code, stdout]).toEqual([1, '']);
    expect(stderr).toContain('svc/bare has no address of its own');
  });

  it('prints a page that says what the table says', async () => {
    const page = await fairlead('matrix', '-f', example('FL001'), '-o', 'html');
    const table = await fairlead('matrix', '-f', example('FL001'), '-o', 'json');
    expect([page.code, table.code]).toEqual([2, 2]);
    const cells = (JSON.parse(table.stdout) as { cells: { verdict: string }[] }[]).flatMap(
      (one) => one.cells,
    );
    const shown = [...page.stdout.matchAll(/data-verdict="(\w+)"/g)].map(([, verdict]) => verdict);
    expect(shown.toSorted()).toEqual(cells.map(({ verdict }) => verdict).toSorted());
  });
});
