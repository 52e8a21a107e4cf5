import { InvalidArgumentError } from 'commander';

/** Reads the number of a kept lab. */
export function labNumber(text: string): number {
  if (/^[1-9]\d*$/.test(text)) return Number(text);
  throw new InvalidArgumentError('It is the number that --keep has printed.');
}
