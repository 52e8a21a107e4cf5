import type { Entry, ListOptions } from './store.ts';

/** The current entries in memory, in key order (UTF-16 code units). */
export class Keyspace {
  readonly #entries = new Map<string, Entry>();
  /** Sorted. An insert moves what follows, which for 200,000 keys costs less than parsing the object that is inserted. */
  #keys: string[] = [];

  /** Takes the place of everything held. */
  load(entries: Iterable<Entry>): void {
    this.#entries.clear();
    for (const entry of entries) this.#entries.set(entry.key, entry);
    this.#keys = [...this.#entries.keys()].sort((a, b) => (a < b ? -1 : 1));
  }

  get(key: string): Entry | undefined {
    return this.#entries.get(key);
  }

  set(entry: Entry): void {
    if (!this.#entries.has(entry.key)) this.#keys.splice(this.#bound(entry.key), 0, entry.key);
    this.#entries.set(entry.key, entry);
  }

  delete(key: string): void {
    if (this.#entries.delete(key)) this.#keys.splice(this.#bound(key), 1);
  }

  /** The page, and how many entries follow it. `revision` of the options is the caller's business. */
  page(prefix: string, options: ListOptions): { entries: Entry[]; remaining: number } {
    const start =
      options.after === undefined ? this.#bound(prefix) : this.#bound(options.after, 'past the key itself');
    const end = this.#bound(`${prefix}\uffff`);
    const stop = Math.min(end, start + (options.limit ?? Number.POSITIVE_INFINITY));
    const entries: Entry[] = [];
    for (let at = start; at < stop; at += 1) {
      const entry = this.#entries.get(this.#keys[at] ?? '');
      if (entry !== undefined) entries.push(entry);
    }
    return { entries, remaining: Math.max(0, end - stop) };
  }

  /** The index of the first key that is not less than `key`; or, `past` it, of the first that is greater. */
  #bound(key: string, past?: 'past the key itself'): number {
    let low = 0;
    let high = this.#keys.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const found = this.#keys[middle] ?? '';
      if (found < key || (past !== undefined && found === key)) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
