/**
 * Who has a name that several may want: the owner whose name sorts first, whatever the order they came in. What the name
 * stands for is not kept, so that a name costs its text alone.
 */
export class Owners {
  readonly #holders = new Map<string, string>();
  /** Those who want a name that another has. */
  readonly #waiting = new Map<string, Set<string>>();

  claim(name: string, owner: string): void {
    const holder = this.#holders.get(name);
    if (holder === owner) return;
    if (holder === undefined) this.#holders.set(name, owner);
    else if (owner < holder) {
      this.#holders.set(name, owner);
      this.#waitingFor(name).delete(owner);
      this.#waitingFor(name).add(holder);
    } else this.#waitingFor(name).add(owner);
  }

  release(name: string, owner: string): void {
    const waiting = this.#waiting.get(name);
    if (this.#holders.get(name) === owner) {
      const [next] = [...(waiting ?? [])].sort();
      if (next === undefined) this.#holders.delete(name);
      else this.#holders.set(name, next);
      if (next !== undefined) waiting?.delete(next);
    } else waiting?.delete(owner);
    if (waiting?.size === 0) this.#waiting.delete(name);
  }

  of(name: string): string | undefined {
    return this.#holders.get(name);
  }

  /** Whether anybody waits for anything. */
  get contested(): boolean {
    return this.#waiting.size > 0;
  }

  #waitingFor(name: string): Set<string> {
    const waiting = this.#waiting.get(name) ?? new Set();
    this.#waiting.set(name, waiting);
    return waiting;
  }
}
