import { existsSync, renameSync, statSync } from 'node:fs';
import { type Clock, sleep } from '../../client/clock.ts';
import { errorFields, type Log } from '../../fault/log.ts';
import { isRunning } from './container-record.ts';
import type { ContainerRuntime } from './runtime.ts';

/** Logs lie on a tmpfs: two files of this size for each container, at most, and a little more between two looks. */
const LIMIT_BYTES = 4 * 1024 * 1024;
const LOOK_EVERY_MS = 2_000;

export interface RotationOptions {
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly log: Log;
  readonly limitBytes?: number;
}

/** Rotates the logs of running containers until the signal aborts. */
export async function rotateLogs(runtime: ContainerRuntime, options: RotationOptions): Promise<void> {
  while (!options.signal.aborted) {
    for (const record of [...runtime.records()]) {
      if (!isRunning(record)) continue;
      try {
        rotateLog(runtime, record.id, options.limitBytes ?? LIMIT_BYTES);
      } catch (error) {
        options.log.warn('cannot rotate a log', { id: record.id, ...errorFields(error) });
      }
    }
    await sleep(options.clock, LOOK_EVERY_MS, options.signal);
  }
}

/** Moves a log that is too long out of the way, over the one moved before, and has conmon open a new one. */
export function rotateLog(runtime: ContainerRuntime, id: string, limitBytes: number): void {
  const file = runtime.logFile(id);
  if (!existsSync(file) || statSync(file).size < limitBytes) return;
  renameSync(file, `${file}.1`);
  runtime.reopenLog(id);
}
