import { pipeline } from 'node:stream/promises';
import type { Exec } from '../../exec/exec.ts';
import { findLab } from '../../lab/kept-lab.ts';
import { endingAsOurs, runOnTerminal } from '../on-terminal.ts';

/** Runs a command in a host of a kept lab; `host` is its name in the World, `pod/[ns/]name` too. */
export async function enterLab(number: number, host: string, command: readonly string[]): Promise<void> {
  const lab = await findLab(number);
  try {
    const netns = lab.netnsOf(hostName(host));
    const place = lab.placeWithTerminal(netns);
    if (place !== undefined) return await runOnTerminal(place, command);
    await runByPipes(lab.cage.exec(netns), command);
  } finally {
    await lab.close();
  }
}

function hostName(host: string): string {
  const [, namespace = 'default', name] = /^pod\/(?:([^/]+)\/)?([^/]+)$/.exec(host) ?? [];
  return name === undefined ? host : `${namespace}/${name}`;
}

/** In a guest there is no terminal of ours: where we have one, script(1) makes another there. */
async function runByPipes(exec: Exec, command: readonly string[]): Promise<void> {
  const { stdin, stdout, stderr } = process;
  const hasTerminal = stdin.isTTY && stdout.isTTY;
  const words = hasTerminal ? onTerminal(command, stdout) : command.length === 0 ? ['sh'] : command;
  const [file = 'sh', ...args] = words;
  const running = await exec.start(file, args, { stdin: 'pipe', stdout: 'pipe', stderr: 'pipe' });
  if (hasTerminal) stdin.setRawMode(true);
  try {
    // A command that takes no more of what we are given is told of by its end.
    running.stdin?.on('error', () => undefined);
    if (running.stdin !== null) stdin.pipe(running.stdin);
    await Promise.all([
      ...(running.stdout === null ? [] : [pipeline(running.stdout, stdout, { end: false })]),
      ...(running.stderr === null ? [] : [pipeline(running.stderr, stderr, { end: false })]),
      endingAsOurs(running),
    ]);
  } finally {
    if (hasTerminal) stdin.setRawMode(false);
    stdin.unpipe();
    stdin.pause();
  }
}

/** `script -c` takes one string for a shell, so every word is quoted. */
function onTerminal(command: readonly string[], { rows, columns }: NodeJS.WriteStream): string[] {
  const quoted = (command.length === 0 ? ['sh'] : command).map(
    (word) => `'${word.replaceAll("'", "'\\''")}'`,
  );
  const line = `stty rows ${rows} cols ${columns}; exec ${quoted.join(' ')}`;
  return ['script', '--quiet', '--return', '--flush', '--command', line, '/dev/null'];
}
