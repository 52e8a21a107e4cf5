import { describe, expect, it } from 'vitest';
import { startOnTerminal } from './pty.ts';

function output(file: string, args: readonly string[], wanted: RegExp, options = {}) {
  const running = startOnTerminal(file, args, options);
  let text = '';
  const seen = new Promise<string>((resolve) =>
    running.onData((bytes) => {
      text += bytes.toString();
      if (wanted.test(text)) resolve(text);
    }),
  );
  return { running, seen };
}

describe('startOnTerminal', () => {
  it('gives the process a terminal of the asked size, and its exit code', async () => {
    const { running, seen } = output('sh', ['-c', 'test -t 0 && stty size; exit 3'], /\n/, {
      columns: 101,
      rows: 37,
    });
    expect(await seen).toBe('37 101\r\n');
    expect(await running.ended).toEqual({ code: 3, signal: null });
  });

  it('tells the process of a new size', async () => {
    const { running, seen } = output(
      'sh',
      ['-c', 'trap "stty size; exit" WINCH; echo up; while :; do sleep 0.02; done'],
      /\n[^\n]*\n/,
    );
    running.onData((bytes) => {
      if (bytes.toString().startsWith('up')) running.resize(50, 20);
    });
    expect(await seen).toBe('up\r\n20 50\r\n');
  });

  it('carries what is typed, and the signal that ended it', async () => {
    const { running, seen } = output('cat', [], /héllo\r\nhéllo\r\n/);
    running.write('héllo\n');
    await seen;
    running.kill('SIGTERM');
    expect(await running.ended).toEqual({ code: null, signal: 'SIGTERM' });
  });
});
