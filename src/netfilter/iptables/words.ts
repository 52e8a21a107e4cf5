import { Fault } from '../../fault/fault.ts';

/** Splits a line of iptables-save into words: blanks part them, double quotes hold blanks, a backslash escapes. */
export function splitWords(line: string): string[] {
  const words: string[] = [];
  const pattern = /"((?:[^"\\]|\\.)*)"|(\S+)/g;
  for (const [, quoted, plain] of line.matchAll(pattern)) {
    words.push(quoted === undefined ? (plain ?? '') : quoted.replace(/\\(.)/g, '$1'));
  }
  return words;
}

/** Words read one by one. */
export class WordReader {
  readonly #words: readonly string[];
  #at = 0;

  constructor(words: readonly string[]) {
    this.#words = words;
  }

  get done(): boolean {
    return this.#at >= this.#words.length;
  }

  peek(): string | undefined {
    return this.#words[this.#at];
  }

  next(): string {
    const word = this.#words[this.#at];
    if (word === undefined) {
      throw new Fault(
        'FE006',
        `a word is missing after '${this.#words.join(' ')}'`,
        'pass what iptables-save prints',
      );
    }
    this.#at += 1;
    return word;
  }

  /** The next words, at most so many, whatever they are. */
  take(count: number): string[] {
    const start = this.#at;
    this.#at = Math.min(start + count, this.#words.length);
    return this.#words.slice(start, this.#at);
  }

  /** The words up to the next one that `ends` accepts, or to the end. */
  until(ends: (word: string) => boolean): string[] {
    const start = this.#at;
    while (!this.done && !ends(this.#words[this.#at] ?? '')) this.#at += 1;
    return this.#words.slice(start, this.#at);
  }
}
