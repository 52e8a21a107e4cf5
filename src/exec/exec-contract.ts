import { describe, expect, it } from 'vitest';
import { Exec, type Place } from './exec.ts';

/** What holds wherever commands run: on this machine and in a guest. */
export function describeExec(name: string, at: () => Place): void {
  describe(`commands on ${name}`, () => {
    const exec = () => new Exec(at());

    it('get their arguments as they are and give both streams', async () => {
      const output = await exec().run({
        file: 'sh',
        args: ['-c', 'cat; echo "$1$WHO" >&2; pwd', 'sh', 'a b; $x'],
        stdin: 'in',
        env: { WHO: 'é=1' },
        cwd: '/usr',
      });
      expect(output).toEqual({ code: 0, stdout: 'in/usr\n', stderr: 'a b; $xé=1\n' });
    });

    it('fail with place, command and message', async () => {
      await expect(exec().run({ file: 'sh', args: ['-c', 'echo no >&2; exit 3'] })).rejects.toMatchObject({
        code: 'FE002',
        message: `${at().name}: 'sh -c echo no >&2; exit 3' ended with 3: no`,
      });
    });

    it('answer with accepted exit codes', async () => {
      expect((await exec().run({ file: 'false', args: [], accept: [0, 1] })).code).toBe(1);
    });

    it('may be missing, also behind nsenter', async () => {
      const missing = { code: 'FE001', message: `${at().name}: the tool 'no-such-tool' is missing` };
      await expect(exec().run({ file: 'no-such-tool', args: [] })).rejects.toMatchObject(missing);
      await expect(exec().start('no-such-tool', [])).rejects.toMatchObject(missing);
      const behind = new Exec({ ...at(), prefix: ['nsenter', '--'] });
      await expect(behind.run({ file: 'no-such-tool', args: [] })).rejects.toMatchObject(missing);
    });

    it('say what else stands in their way', async () => {
      await expect(exec().run({ file: '/etc/passwd', args: [] })).rejects.toMatchObject({
        code: 'FE002',
        message: expect.stringContaining(`${at().name}: '/etc/passwd' cannot be started: `),
      });
    });

    it('are bounded, and end with the signal of their caller', async () => {
      const sleep = { file: 'sleep', args: ['60'] };
      await expect(exec().run({ ...sleep, timeoutMs: 50 })).rejects.toMatchObject({ code: 'FE003' });
      const caller = new AbortController();
      const run = exec().run({ ...sleep, signal: caller.signal });
      caller.abort();
      await expect(run).rejects.toMatchObject({ code: 'FE002' });
      await expect(exec().run({ ...sleep, signal: caller.signal })).rejects.toMatchObject({ code: 'FE002' });
    });

    it('tell how they ended', async () => {
      const running = await exec().start('sleep', ['60']);
      running.kill('SIGTERM');
      expect(await running.ended).toEqual({ code: null, signal: 'SIGTERM' });
    });

    it('get signals behind a place that forks', async () => {
      const place = { ...at(), prefix: ['unshare', '--pid', '--fork', '--'], forks: true };
      const running = await new Exec(place).start('sh', ['-c', 'trap "exit 7" TERM; echo up; read line'], {
        stdin: 'pipe',
        stdout: 'pipe',
      });
      await new Promise((resolve) => running.stdout?.once('data', resolve));
      running.kill('SIGTERM');
      expect(await running.ended).toEqual({ code: 7, signal: null });
    });

    it('carry more than any buffer on the way holds', async () => {
      const stdin = 'fairlead\n'.repeat(300_000);
      expect((await exec().run({ file: 'cat', args: [], stdin })).stdout).toBe(stdin);
      // Nobody reads it: the command is judged by its exit code.
      expect((await exec().run({ file: 'true', args: [], stdin })).code).toBe(0);
    });

    it('wait for a slow reader, and hold up nobody else', async () => {
      const running = await exec().start('yes', [], { stdout: 'pipe' });
      const { stdout } = running;
      if (stdout === null) throw new Error('no pipe');
      expect((await exec().run({ file: 'echo', args: ['passes'] })).stdout).toBe('passes\n');
      stdout.destroy();
      // By SIGPIPE, or by its own judgement where the pipe is a socket.
      expect((await running.ended).code).not.toBe(0);
    });

    it('report on a descriptor of their own', async () => {
      const running = await exec().start('sh', ['-c', 'echo ready >&3'], { report: true });
      const said: Buffer[] = [];
      for await (const chunk of running.report ?? []) said.push(chunk as Buffer);
      expect(Buffer.concat(said).toString()).toBe('ready\n');
    });

    it('run side by side', async () => {
      const numbers = Array.from({ length: 40 }, (_, at) => String(at));
      const answers = await Promise.all(numbers.map((each) => exec().run({ file: 'echo', args: [each] })));
      expect(answers.map(({ stdout }) => stdout.trim())).toEqual(numbers);
    });
  });
}
