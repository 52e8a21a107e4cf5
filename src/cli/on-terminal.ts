import { Exec, type Place, type Running } from '../exec/exec.ts';

/** With this process's terminal and streams; its exit code becomes ours. */
export async function runOnTerminal(place: Place, command: readonly string[]): Promise<void> {
  const [file = process.env.SHELL ?? 'sh', ...args] = command;
  const streams = { stdin: 'inherit', stdout: 'inherit', stderr: 'inherit' } as const;
  const running = await new Exec(place).start(file, args, streams);
  // The terminal signals the whole foreground group; this process waits for what the command makes of it.
  process.on('SIGINT', () => undefined);
  await endingAsOurs(running);
}

export async function endingAsOurs({ ended }: Running): Promise<void> {
  const { code, signal } = await ended;
  process.exitCode = signal === null ? (code ?? 1) : 130;
}
