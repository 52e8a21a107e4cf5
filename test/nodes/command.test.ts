/** `--nodes`, `fairlead collect`: what one node of the example printed, with a rule of its administrator in it. */
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Exec } from '../../src/exec/exec.ts';
import { fairlead } from '../supervisor.ts';

const EXAMPLES = new URL('../../examples/', import.meta.url).pathname;
const OBJECTS = ['-f', join(EXAMPLES, 'three-nodes.yaml')];
const NODES = join(EXAMPLES, 'nodes');
const SAVE = join(NODES, 'n1', 'iptables-save.txt');

describe('why --nodes', () => {
  it('names the rule of somebody else, its place, and what becomes of the connection without it', async () => {
    const { code, stdout } = await fairlead(['why', 'pod/near', 'svc/nginx', ...OBJECTS, '--nodes', NODES]);
    expect(code).toBe(2);
    const rule = 'iptables -t filter -A FORWARD -p tcp -m tcp --dport 80 -j DROP';
    expect(stdout).toContain('nodes read: n1; assumed by the profile: n2, n3\n');
    expect(stdout).toContain(`n1 runs a rule that is no Service's (${SAVE}:25): ${rule}\n`);
    expect(stdout).toContain(
      `1. delete the rule at ${SAVE}:25 on n1: reached\n     ${rule.replace('-A', '-D')}\n`,
    );
  });

  it('prints what the README quotes', async () => {
    const readme = readFileSync(new URL('../../README.md', import.meta.url), 'utf8');
    const [, command = '', quoted = ''] = /\$ fairlead (why .* --nodes .*)\n([\s\S]*?)```/.exec(readme) ?? [];
    const { stdout } = await fairlead(command.split(' '));
    expect(quoted).toContain('FL034');
    expect(stdout).toContain(quoted);
  });

  it('tells programs the same', async () => {
    const args = ['why', 'pod/far', '10.0.1.10:80', ...OBJECTS, '--nodes', NODES, '-o', 'json'];
    const { stdout } = await fairlead(args);
    expect(JSON.parse(stdout)).toMatchObject({
      verdict: 'timeout',
      nodes: { read: ['n1'], assumed: ['n2', 'n3'] },
      outcomes: [{ cause: { code: 'FL034', place: `${SAVE}:25` } }],
      fixes: [{ patch: { rule: { host: 'n1', place: `${SAVE}:25` } }, verdictAfter: 'reached' }],
    });
  });

  it('knows nothing of what comes to a rule that is not modelled, and all of what does not', async () => {
    const ask = (to: string) => fairlead(['why', 'pod/far', to, ...OBJECTS, '--nodes', NODES]);
    const unknown = await ask('10.0.1.10:53/udp');
    expect(unknown.code).toBe(2);
    expect(unknown.stdout).toMatch(
      /^unknown .*\n.*\n.*\n\nFL040: .*\n.*'-m length --length 1400:65535' is not modelled/,
    );
    expect(unknown.stdout).toContain(`${SAVE}:30`);
    expect((await ask('10.0.1.10:81')).stdout).toMatch(/^refused/);
  });

  it('does with what the nodes tell where there are no objects', async () => {
    const { code, stdout } = await fairlead(['why', 'node/n1', '192.168.0.11:80', '--nodes', NODES]);
    expect(code).toBe(2);
    expect(stdout).toMatch(/^refused .*\ngeneric, network tunnel, kube-proxy iptables/);
  });

  it.each([
    ['a folder that is not there', ['--nodes', '/nowhere'], /FE006: \/nowhere: ENOENT/],
    [
      'a folder without nodes',
      ['--nodes', join(EXAMPLES, '..', 'docs')],
      /no folder below it holds what a node/,
    ],
    [
      'a node that is none',
      [...OBJECTS, '--nodes', 'GONE'],
      /FE013: .*: there is no node 'gone' \(.*n1, n2, n3\)/,
    ],
  ])('%s is an error', async (_, args, message) => {
    const { code, stderr } = await fairlead(['why', 'node/n1', '10.0.1.10:80', ...args.map(inFolder)]);
    expect(code).toBe(1);
    expect(stderr).toMatch(message);
  });

  let folder: string;
  const inFolder = (arg: string) => (arg === 'GONE' ? folder : arg);
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'fairlead-nodes-'));
    cpSync(join(NODES, 'n1'), join(folder, 'gone'), { recursive: true });
  });
  afterAll(() => rmSync(folder, { recursive: true }));
});

describe('collect', () => {
  it('prints a script that a shell takes, and that says how it is used', async () => {
    const { stdout } = await fairlead(['collect', '--script']);
    const exec = new Exec();
    await exec.run({ file: 'sh', args: ['-n'], stdin: stdout });
    const folder = mkdtempSync(join(tmpdir(), 'fairlead-collect-'));
    try {
      writeFileSync(join(folder, 'collect.sh'), stdout);
      const run = await exec.run({ file: 'sh', args: [join(folder, 'collect.sh')], accept: [1] });
      expect(run.stderr).toMatch(/^usage: sh .*collect\.sh FOLDER/);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
