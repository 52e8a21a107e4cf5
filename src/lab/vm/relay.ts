import { constants } from 'node:os';
import type { Duplex } from 'node:stream';
import type { Machine, Running } from '../../exec/exec.ts';
import { parseStart } from './frames.ts';
import { Link } from './link.ts';

/**
 * Does for whoever is at the other end of a channel what a guest's agent does for its opener, on a machine that is already
 * there: starts processes and carries their streams. The other end is a `Guest`. When the channel closes, they are killed.
 */
export function relayProcesses(machine: Machine, channel: Duplex): void {
  const processes = new Map<number, Running>();
  const link = new Link(channel, channel, (kind, id, fields) => {
    if (kind === 'start') void start(id, fields);
    if (kind === 'signal') processes.get(id)?.kill(fields[0] as NodeJS.Signals);
  });
  const start = async (id: number, fields: readonly string[]) => {
    // The other end may write before the process is there.
    const input = link.reader(id * 4);
    try {
      const running = await machine.spawn(parseStart(fields));
      processes.set(id, running);
      link.tell('started', id, [String(running.pid)]);
      carry(running, id);
      const { code, signal } = await running.ended;
      processes.delete(id);
      input.destroy();
      link.tell('ended', id, [String(code ?? ''), signal === null ? '' : String(constants.signals[signal])]);
    } catch (error) {
      input.destroy();
      const said = error instanceof Error ? error : new Error(String(error));
      link.tell('refused', id, [said.message, 'code' in said ? String(said.code) : '']);
    }
    function carry({ stdin, stdout, stderr, report }: Running, number: number) {
      // A process that takes no more is told of by its end.
      stdin?.on('error', () => input.destroy());
      if (stdin === null) input.destroy();
      else input.pipe(stdin);
      for (const [at, output] of [stdout, stderr, report].entries()) {
        output?.pipe(link.writer(number * 4 + at + 1));
      }
    }
  };
  // What is written to one who has gone is lost with him.
  channel.on('error', () => undefined);
  channel.once('close', () => {
    link.break();
    for (const running of processes.values()) running.kill('SIGKILL');
  });
  link.tell('hello', 0, ['', '']);
}
