import { CommanderError } from 'commander';
import { ApiError } from '../client/client.ts';
import { Fault } from '../fault/fault.ts';

/** The exit codes of the contract. */
export const EXIT = { ok: 0, error: 1, finding: 2, interrupted: 130 } as const;

/** The exit code an error stands for; says the error, once, through `write`. */
export function exitCodeOf(error: unknown, write: (line: string) => void): number {
  // Commander has already said what is wrong with the arguments.
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.error;
  if (error instanceof Error && error.name === 'AbortError') return EXIT.interrupted;
  if (error instanceof Fault) write(`fairlead: ${error}\n`);
  // What the API server answers is a sentence for people; where we asked is of no use to them.
  else if (error instanceof ApiError) write(`fairlead: ${error.message}\n`);
  else write(`fairlead: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
  return EXIT.error;
}
