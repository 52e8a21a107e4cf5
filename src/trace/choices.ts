/**
 * Says anew how likely the alternatives of a host's choice are, in their order: 0 leaves one out. For who knows that some
 * come to the same, and lets one stand for all of them.
 */
export type Weigh = (host: string, weights: readonly number[]) => readonly number[];

/**
 * Random choices, made in every possible way: the same function is run again until each alternative has been taken, with
 * the choices before it made as before. So what is run needs no way to be undone, and a run is straight code.
 */
export class Choices {
  readonly #weigh: Weigh | undefined;
  readonly #made: { at: number; readonly weights: readonly number[] }[] = [];
  #next = 0;

  constructor(weigh?: Weigh) {
    this.#weigh = weigh;
  }

  /** The index of the alternative to take now; each is taken in some run unless its weight is 0. */
  choose(weights: readonly number[]): number {
    const known = this.#made[this.#next++];
    if (known !== undefined) return known.at;
    const at = weights.findIndex((weight) => weight > 0);
    this.#made.push({ at, weights });
    return at;
  }

  /** One of `count` alternatives with the same chance, unless somebody weighs what this host chooses. */
  uniform(count: number, host: string): number {
    if (count <= 1) return 0;
    const weights = new Array<number>(count).fill(1 / count);
    return this.choose(this.#weigh?.(host, weights) ?? weights);
  }

  /** How likely the run is that has just been made. */
  get probability(): number {
    return this.#made.reduce((product, { at, weights }) => product * (weights[at] ?? 0), 1);
  }

  /** Turns to the next run; false when all have been made. */
  advance(): boolean {
    this.#next = 0;
    for (;;) {
      const last = this.#made.at(-1);
      if (last === undefined) return false;
      const next = last.weights.findIndex((weight, at) => at > last.at && weight > 0);
      if (next >= 0) {
        last.at = next;
        return true;
      }
      this.#made.pop();
    }
  }
}
