import { describe, expect, it } from 'vitest';
import { Exec, HERE, insideNetns } from './exec.ts';

const exec = new Exec(HERE);

describe('Exec', () => {
  it('passes arguments as they are and gives both streams', async () => {
    const output = await exec.run({
      file: 'sh',
      args: ['-c', 'cat; echo "$1" >&2', 'sh', 'a b; $x'],
      stdin: 'in',
    });
    expect(output).toEqual({ code: 0, stdout: 'in', stderr: 'a b; $x\n' });
  });

  it('names place, command and message of a failure', async () => {
    await expect(exec.run({ file: 'sh', args: ['-c', 'echo no >&2; exit 3'] })).rejects.toMatchObject({
      code: 'FE002',
      message: expect.stringMatching(/^this host: 'sh -c .*' ended with 3: no$/),
    });
  });

  it('gives accepted exit codes as answers', async () => {
    expect((await exec.run({ file: 'false', args: [], accept: [0, 1] })).code).toBe(1);
  });

  it('names a missing tool, also behind nsenter', async () => {
    await expect(exec.run({ file: 'no-such-tool', args: [] })).rejects.toMatchObject({ code: 'FE001' });
    await expect(exec.start('no-such-tool', [])).rejects.toMatchObject({ code: 'FE001' });
    const place = { name: 'n1', prefix: ['nsenter', '--'] };
    await expect(new Exec(place).run({ file: 'no-such-tool', args: [] })).rejects.toMatchObject({
      code: 'FE001',
      message: "n1: the tool 'no-such-tool' is missing",
    });
  });

  it('bounds a run', async () => {
    await expect(exec.run({ file: 'sleep', args: ['60'], timeoutMs: 50 })).rejects.toMatchObject({
      code: 'FE003',
    });
  });

  it('tells how a started process ended', async () => {
    const running = await exec.start('sleep', ['60']);
    running.kill('SIGTERM');
    expect(await running.ended).toEqual({ code: null, signal: 'SIGTERM' });
  });

  it('signals the command behind a place that forks', async () => {
    const place = { name: 'a new PID namespace', prefix: ['unshare', '--pid', '--fork', '--'], forks: true };
    const running = await new Exec(place).start('sh', ['-c', 'trap "exit 7" TERM; echo up; read line'], {
      stdin: 'pipe',
      stdout: 'pipe',
    });
    await new Promise((resolve) => running.stdout?.once('data', resolve));
    running.kill('SIGTERM');
    expect(await running.ended).toEqual({ code: 7, signal: null });
  });

  it('puts a network namespace before the command', () => {
    expect(insideNetns('n1').prefix).toEqual(['nsenter', '--net=/run/netns/n1', '--']);
  });
});
