/**
 * Named things that several owners may want at once: a thing stays while somebody claims it. Where two owners claim a name
 * with different values, the owner whose name sorts first has it, whatever the order they came in.
 */
export class Claims<T> {
  readonly #claims = new Map<string, Claim<T>[]>();
  /** What each touched name held when {@link settle} was last called. */
  readonly #before = new Map<string, T | undefined>();

  claim(name: string, owner: string, value: T): void {
    this.#touch(name);
    const claims = (this.#claims.get(name) ?? []).filter((one) => one.owner !== owner);
    claims.push({ owner, value });
    if (claims.length > 1) claims.sort((a, b) => (a.owner < b.owner ? -1 : 1));
    this.#claims.set(name, claims);
  }

  release(name: string, owner: string): void {
    this.#touch(name);
    const claims = this.#claims.get(name)?.filter((one) => one.owner !== owner) ?? [];
    if (claims.length === 0) this.#claims.delete(name);
    else this.#claims.set(name, claims);
  }

  get(name: string): T | undefined {
    return this.#claims.get(name)?.[0]?.value;
  }

  /** Who has the name. */
  owner(name: string): string | undefined {
    return this.#claims.get(name)?.[0]?.owner;
  }

  *entries(): IterableIterator<readonly [name: string, value: T]> {
    for (const [name, claims] of this.#claims) {
      const first = claims[0];
      if (first !== undefined) yield [name, first.value];
    }
  }

  /** The names touched since {@link settle}, with what they held then and hold now. */
  *changes(): IterableIterator<{ readonly name: string; readonly before?: T; readonly after?: T }> {
    for (const [name, before] of this.#before) {
      const after = this.get(name);
      yield { name, ...(before === undefined ? {} : { before }), ...(after === undefined ? {} : { after }) };
    }
  }

  settle(): void {
    this.#before.clear();
  }

  #touch(name: string): void {
    if (!this.#before.has(name)) this.#before.set(name, this.get(name));
  }
}

interface Claim<T> {
  readonly owner: string;
  readonly value: T;
}
