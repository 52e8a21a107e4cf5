import type { ServerResponse } from 'node:http';
import { followLog, type LogEntry, readLog } from '../runtime/container-log.ts';
import type { ContainerRecord } from '../runtime/container-record.ts';
import type { ContainerRuntime } from '../runtime/runtime.ts';

const NEWLINE = 0x0a;

export interface LogQuery {
  readonly follow: boolean;
  readonly timestamps: boolean;
  readonly tailLines?: number;
  readonly limitBytes?: number;
  /** Milliseconds since 1970; nothing older is given. */
  readonly since?: number;
}

/** @param now milliseconds since 1970, for sinceSeconds */
export function parseLogQuery(query: URLSearchParams, now: number): LogQuery {
  const flag = (name: string) => query.has(name) && query.get(name) !== 'false' && query.get(name) !== '0';
  const count = (name: string) => (query.get(name) ? Number(query.get(name)) : undefined);
  const tailLines = count('tailLines');
  const limitBytes = count('limitBytes');
  const sinceSeconds = count('sinceSeconds');
  return {
    follow: flag('follow'),
    timestamps: flag('timestamps'),
    ...(tailLines === undefined ? {} : { tailLines }),
    ...(limitBytes === undefined ? {} : { limitBytes }),
    ...(sinceSeconds === undefined ? {} : { since: now - sinceSeconds * 1000 }),
  };
}

/** Answers with a container's log; resolves when it has all been sent or the client has gone. */
export async function serveLog(
  response: ServerResponse,
  runtime: ContainerRuntime,
  record: ContainerRecord,
  query: LogQuery,
): Promise<void> {
  const gone = new AbortController();
  response.once('close', () => gone.abort());
  response.writeHead(200, { 'content-type': 'text/plain' });
  response.flushHeaders();
  const file = runtime.logFile(record.id);
  const skip = query.tailLines === undefined ? 0 : countLines(readLog(file), query) - query.tailLines;
  const printer = new LinePrinter(query, skip);
  const entries = query.follow
    ? followLog(file, {
        signal: gone.signal,
        hasEnded: () => runtime.get(record.id)?.exit !== undefined,
        onEnd: (listener) => runtime.onExit((ended) => (ended.id === record.id ? listener() : undefined)),
      })
    : readLog(file);
  for await (const entry of entries) {
    const bytes = printer.print(entry);
    if (bytes.length > 0 && !response.write(bytes)) await drained(response, gone.signal);
    if (gone.signal.aborted || printer.isFull) break;
  }
  response.end();
}

function countLines(entries: Iterable<LogEntry>, query: LogQuery): number {
  let lines = 0;
  let isInLine = false;
  for (const { time, content } of entries) {
    if (query.since !== undefined && Date.parse(time) < query.since) continue;
    if (!isInLine) lines += 1;
    isInLine = content.at(-1) !== NEWLINE;
  }
  return lines;
}

/** Turns entries into what is sent: a time stamp at the start of each line, no more than was asked for. */
class LinePrinter {
  readonly #query: LogQuery;
  #skip: number;
  #left: number;
  /** Lines; more than the tail may have been printed since its beginning was looked for. */
  #linesLeft: number;
  #isInLine = false;
  #isSkipping = false;

  constructor(query: LogQuery, skip: number) {
    this.#query = query;
    this.#skip = skip;
    this.#left = query.limitBytes ?? Number.POSITIVE_INFINITY;
    this.#linesLeft = query.follow ? Number.POSITIVE_INFINITY : (query.tailLines ?? Number.POSITIVE_INFINITY);
  }

  get isFull(): boolean {
    return this.#left <= 0;
  }

  print({ time, content }: LogEntry): Buffer {
    if (this.#query.since !== undefined && Date.parse(time) < this.#query.since) return Buffer.alloc(0);
    const startsLine = !this.#isInLine;
    this.#isInLine = content.at(-1) !== NEWLINE;
    if (startsLine) this.#isSkipping = this.#skip-- > 0;
    if (startsLine && !this.#isSkipping && this.#linesLeft-- <= 0) this.#left = 0;
    if (this.#isSkipping || this.isFull) return Buffer.alloc(0);
    const stamped =
      startsLine && this.#query.timestamps ? Buffer.concat([Buffer.from(`${time} `), content]) : content;
    const bytes = stamped.subarray(0, Math.min(stamped.length, this.#left));
    this.#left -= bytes.length;
    return bytes;
  }
}

function drained(response: ServerResponse, gone: AbortSignal): Promise<void> {
  if (gone.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const end = () => {
      response.off('drain', end);
      gone.removeEventListener('abort', end);
      resolve();
    };
    response.once('drain', end);
    gone.addEventListener('abort', end, { once: true });
  });
}
