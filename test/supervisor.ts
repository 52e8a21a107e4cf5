import nodeProcess from 'node:process';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { Exec, type Output, type Running } from '../src/exec/exec.ts';
import { startOnTerminal } from '../src/exec/pty.ts';

export const MAIN = new URL('../src/cli/main.ts', import.meta.url).pathname;

/** Runs the command `fairlead` to its end; any exit code is an answer. */
export function fairlead(args: readonly string[], timeoutMs = 60_000): Promise<Output> {
  const accept = Array.from({ length: 256 }, (_, code) => code);
  return new Exec().run({ file: process.execPath, args: [MAIN, ...args], timeoutMs, accept });
}

/** `fairlead up` in the foreground, once it has said that it is ready. */
export function up(data: string, ...args: string[]): Promise<Running> {
  return readySupervisor(new Exec(), [process.execPath, MAIN], ['--data', data, ...args]);
}

/** The same by another way of calling the command, at another place. */
export async function readySupervisor(
  exec: Exec,
  [file = '', ...command]: readonly string[],
  args: readonly string[],
): Promise<Running> {
  const running = await exec.start(file, [...command, 'up', '--port', '0', ...args], {
    stdout: 'pipe',
    stderr: 'pipe',
  });
  let said = '';
  running.stderr?.on('data', (chunk: Buffer) => {
    said += chunk.toString();
  });
  const { stdout } = running;
  if (stdout === null) throw new Error('a pipe was asked for');
  await new Promise<void>((resolve, reject) => {
    createInterface(stdout).on('line', (line) => line === 'ready' && resolve());
    running.ended.then(({ code, signal }) => reject(new Error(`up ended with ${code ?? signal}: ${said}`)));
  });
  return running;
}

/** `fairlead up` at a terminal of its own; `seen` gives what was printed once the pattern is in it. */
export function upOnTerminal(data: string) {
  const process = startOnTerminal(nodeProcess.execPath, [MAIN, 'up', '--data', data, '--port', '0']);
  let printed = '';
  process.onData((bytes) => {
    printed += bytes.toString();
  });
  const seen = async (what: string, pattern: RegExp) => {
    await until(what, () => pattern.test(printed), 40_000);
    return printed;
  };
  return { process, seen };
}

/** Asks again every 20 ms until it holds; past the bound the error says what was waited for. */
export async function until(
  what: string,
  holds: () => boolean | Promise<boolean>,
  boundMs = 10_000,
): Promise<void> {
  const end = performance.now() + boundMs;
  while (!(await holds())) {
    if (performance.now() > end) throw new Error(`waited ${boundMs} ms for ${what}`);
    await delay(20);
  }
}
