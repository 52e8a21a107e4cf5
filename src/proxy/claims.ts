/**
 * Named things that several owners may want at once: a thing stays while somebody claims it. Where two owners claim a name
 * with different values, the owner whose name sorts first has it, whatever the order they came in.
 */
export class Claims<T> {
  readonly #holders = new Map<string, Holder<T>>();
  /** What each touched name held when {@link settle} was last called. */
  readonly #before = new Map<string, T | undefined>();

  claim(name: string, owner: string, value: T): void {
    this.#touch(name);
    const holder = this.#holders.get(name);
    if (holder === undefined) this.#holders.set(name, { owner, value, waiting: undefined });
    else if (holder.owner === owner) holder.value = value;
    else {
      holder.waiting ??= new Map();
      if (owner < holder.owner) {
        holder.waiting.delete(owner);
        holder.waiting.set(holder.owner, holder.value);
        Object.assign(holder, { owner, value });
      } else holder.waiting.set(owner, value);
    }
  }

  release(name: string, owner: string): void {
    const holder = this.#holders.get(name);
    if (holder === undefined) return;
    this.#touch(name);
    if (holder.owner !== owner) holder.waiting?.delete(owner);
    else if (holder.waiting === undefined || holder.waiting.size === 0) this.#holders.delete(name);
    else promote(holder, holder.waiting);
  }

  get(name: string): T | undefined {
    return this.#holders.get(name)?.value;
  }

  /** Who has the name. */
  owner(name: string): string | undefined {
    return this.#holders.get(name)?.owner;
  }

  *entries(): IterableIterator<readonly [name: string, value: T]> {
    for (const [name, { value }] of this.#holders) yield [name, value];
  }

  /** The names touched since {@link settle}, with what they held then and hold now. */
  *changes(): IterableIterator<{ readonly name: string; readonly before?: T; readonly after?: T }> {
    for (const [name, before] of this.#before) {
      const after = this.get(name);
      yield { name, ...(before === undefined ? {} : { before }), ...(after === undefined ? {} : { after }) };
    }
  }

  /** Whether nothing had the name at the last {@link settle}. */
  isNew(name: string): boolean {
    return this.#before.has(name) && this.#before.get(name) === undefined;
  }

  /** Takes what is held now as what {@link changes} starts from. */
  settle(): void {
    this.#before.clear();
  }

  #touch(name: string): void {
    if (!this.#before.has(name)) this.#before.set(name, this.get(name));
  }
}

/** Who has a name, and who would have it next; most names have one claim, so the waiting are made on demand. */
interface Holder<T> {
  owner: string;
  value: T;
  waiting: Map<string, T> | undefined;
}

function promote<T>(holder: Holder<T>, waiting: Map<string, T>): void {
  let next: readonly [owner: string, value: T] | undefined;
  for (const one of waiting) if (next === undefined || one[0] < next[0]) next = one;
  if (next === undefined) return;
  [holder.owner, holder.value] = next;
  waiting.delete(holder.owner);
}
