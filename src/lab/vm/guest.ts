import { constants } from 'node:os';
import type { Readable, Writable } from 'node:stream';
import type { Ending, Machine, ProcessSpec, Running } from '../../exec/exec.ts';
import type { Fault } from '../../fault/fault.ts';
import { isPiped, type MessageKind, printStart } from './frames.ts';
import { Link } from './link.ts';

interface Process {
  readonly started: PromiseWithResolvers<number>;
  readonly ended: PromiseWithResolvers<Ending>;
}

/**
 * The processes of a guest, as its opener has them: the other end of the agent.
 *
 * Promises: what {@link Machine} says. When the guest ends, all its processes have ended by SIGKILL, and a new one is
 * refused with {@link Fault} FE014.
 * Refuses: descriptors of this process as a guest's streams.
 */
export class Guest implements Machine {
  /** Resolves with the release of the guest's kernel, when the agent is there. */
  readonly hello: Promise<string>;
  readonly #hello = Promise.withResolvers<string>();
  readonly #link: Link;
  readonly #processes = new Map<number, Process>();
  #last = 0;
  #gone: Fault | undefined;

  constructor(fromGuest: Readable, toGuest: Writable) {
    this.hello = this.#hello.promise;
    this.#link = new Link(fromGuest, toGuest, (kind, id, fields) => this.#hear(kind, id, fields));
  }

  async spawn(spec: ProcessSpec): Promise<Running> {
    if (this.#gone !== undefined) throw this.#gone;
    const link = this.#link;
    const fields = printStart(spec);
    this.#last += 1;
    const id = this.#last;
    const process: Process = { started: Promise.withResolvers(), ended: Promise.withResolvers() };
    this.#processes.set(id, process);
    const streams = {
      stdin: isPiped(spec.stdin) ? link.writer(id * 4) : null,
      stdout: isPiped(spec.stdout) ? link.reader(id * 4 + 1) : null,
      stderr: isPiped(spec.stderr) ? link.reader(id * 4 + 2) : null,
      report: spec.report ? link.reader(id * 4 + 3) : null,
    };
    link.tell('start', id, fields);
    try {
      const pid = await process.started.promise;
      return { pid, ...streams, ended: process.ended.promise, ...this.#handles(id) };
    } catch (error) {
      for (const stream of Object.values(streams)) stream?.destroy();
      throw error;
    }
  }

  #handles(id: number): Pick<Running, 'kill' | 'unref'> {
    return {
      kill: (signal) => {
        if (this.#processes.has(id)) this.#link.tell('signal', id, [signal]);
      },
      // A guest ends with its opener anyway.
      unref: () => undefined,
    };
  }

  /** The guest has ended; whoever asks it for more is told why. */
  break(why: Fault): void {
    this.#gone = why;
    for (const { started, ended } of this.#processes.values()) {
      started.reject(why);
      ended.resolve({ code: null, signal: 'SIGKILL' });
    }
    this.#processes.clear();
    this.#link.break();
  }

  #hear(kind: MessageKind, id: number, [first = '', second = '']: readonly string[]): void {
    const process = this.#processes.get(id);
    if (kind === 'hello') this.#hello.resolve(first);
    else if (kind === 'started') process?.started.resolve(Number(first));
    else {
      this.#processes.delete(id);
      if (kind === 'refused') process?.started.reject(Object.assign(new Error(first), { code: second }));
      else process?.ended.resolve(endingOf(first, second));
    }
  }
}

function endingOf(code: string, signal: string): Ending {
  if (signal === '') return { code: Number(code), signal: null };
  const found = Object.entries(constants.signals).find(([, number]) => number === Number(signal));
  return { code: null, signal: (found?.[0] ?? 'SIGKILL') as NodeJS.Signals };
}
