/**
 * What every driver of {@link ObjectStore} must do, as tests.
 *
 * @example describeObjectStore('SQLite', async () => openSqliteStore(':memory:'));
 */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Gone, type ObjectStore, type StoreEvent } from './store.ts';

/** Collects what a watch hands over; `until` waits for so many events. */
class Recorder {
  readonly seen: StoreEvent[] = [];
  readonly #ended = Promise.withResolvers<Error>();
  #wanted = 0;
  #reached: (() => void) | undefined;

  readonly handler = {
    events: (events: readonly StoreEvent[]) => {
      this.seen.push(...events);
      if (this.seen.length >= this.#wanted) this.#reached?.();
    },
    ended: (error: Error) => this.#ended.resolve(error),
  };

  get ended(): Promise<Error> {
    return this.#ended.promise;
  }

  get texts(): string[] {
    return this.seen.map(({ type, key, entry }) => `${type} ${key} ${entry.value}`);
  }

  /** Bounded by the test's own time-out, whose report shows what was seen. */
  until(count: number): Promise<void> {
    if (this.seen.length >= count) return Promise.resolve();
    this.#wanted = count;
    return new Promise((resolve) => {
      this.#reached = resolve;
    });
  }
}

export function describeObjectStore(driver: string, open: () => Promise<ObjectStore>): void {
  describe(`object store: ${driver}`, () => {
    let store: ObjectStore;
    beforeEach(async () => {
      store = await open();
    });
    afterEach(() => store.close());
    const put = async (key: string, value: string) => {
      const outcome = await store.commit([{ key, value }]);
      return outcome.ok ? outcome.revision : Number.NaN;
    };

    commits(() => store, put);
    lists(() => store, put);
    watches(() => store, put);
    histories(() => store, put);
  });
}

type Put = (key: string, value: string) => Promise<number>;

function commits(store: () => ObjectStore, put: Put): void {
  it('starts at a revision above 0, because 0 means "any" to clients', () => {
    expect(store().revision).toBeGreaterThan(0);
  });

  it('gives a key the revision of the commit that changed it', async () => {
    const first = await put('p/a', '1');
    const second = await put('p/a', '2');
    expect(second).toBeGreaterThan(first);
    const entry = await store().get('p/a');
    expect(entry).toEqual({ key: 'p/a', value: '2', createRevision: first, modRevision: second });
    expect(store().revision).toBe(second);
  });

  it('creates only what is not there', async () => {
    const created = await store().commit([{ key: 'p/a', value: '1', expect: 0 }]);
    expect(created.ok).toBe(true);
    const again = await store().commit([{ key: 'p/a', value: '2', expect: 0 }]);
    expect(again).toMatchObject({ ok: false, key: 'p/a', current: { value: '1' } });
  });

  it('lets one of two writers with the same expectation win', async () => {
    const revision = await put('p/a', '1');
    const outcomes = await Promise.all(
      ['2', '3'].map((value) => store().commit([{ key: 'p/a', value, expect: revision }])),
    );
    expect(outcomes.map(({ ok }) => ok)).toEqual([true, false]);
    expect((await store().get('p/a'))?.value).toBe('2');
  });

  it('changes several keys at one revision, or none', async () => {
    const a = await put('p/a', '1');
    const refused = await store().commit([
      { key: 'p/b', value: '1', expect: 0 },
      { key: 'p/a', value: '2', expect: a + 100 },
    ]);
    expect(refused).toMatchObject({ ok: false, key: 'p/a' });
    expect(await store().get('p/b')).toBeUndefined();
    const both = await store().commit([
      { key: 'p/b', value: '1', expect: 0 },
      { key: 'p/a', value: '2', expect: a },
    ]);
    expect(both).toMatchObject({ ok: true, entries: [{ value: '1' }, { value: '2' }] });
    expect((await store().get('p/a'))?.modRevision).toBe((await store().get('p/b'))?.modRevision);
  });

  it('deletes, and forgets when the key was created', async () => {
    await put('p/a', '1');
    const gone = await store().commit([{ key: 'p/a' }]);
    expect(gone).toMatchObject({ ok: true, entries: [undefined] });
    expect(await store().get('p/a')).toBeUndefined();
    const revision = await put('p/a', '2');
    expect((await store().get('p/a'))?.createRevision).toBe(revision);
  });

  it('keeps its revision when nothing had to change', async () => {
    const revision = await put('p/a', '1');
    expect(await store().commit([{ key: 'p/none' }])).toMatchObject({ ok: true, revision });
    expect(store().revision).toBe(revision);
  });
}

function lists(store: () => ObjectStore, put: Put): void {
  it('lists what is under the prefix, in key order', async () => {
    for (const key of ['p/b', 'q/a', 'p/a/x', 'p/a', 'o/z']) await put(key, key);
    const { entries } = await store().list('p/');
    expect(entries.map(({ key }) => key)).toEqual(['p/a', 'p/a/x', 'p/b']);
  });

  it('reads in pages the picture of the first page, whatever is written meanwhile', async () => {
    for (const key of ['p/a', 'p/b', 'p/c', 'p/d']) await put(key, '1');
    const first = await store().list('p/', { limit: 2 });
    expect(first.remaining).toBe(2);
    await put('p/c', '2');
    await store().commit([{ key: 'p/d' }]);
    await put('p/e', '1');
    const second = await store().list('p/', { after: 'p/b', revision: first.revision, limit: 5 });
    expect(second.revision).toBe(first.revision);
    expect(second.entries.map(({ key, value }) => `${key} ${value}`)).toEqual(['p/c 1', 'p/d 1']);
    expect(second.remaining).toBe(0);
  });
}

function watches(store: () => ObjectStore, put: Put): void {
  it('hands over every later change once, in order', async () => {
    const from = await put('p/a', '1');
    const recorder = new Recorder();
    store().watch('p/', from, recorder.handler);
    expect(recorder.seen).toEqual([]);
    await Promise.all([put('p/a', '2'), put('q/x', '1'), put('p/b', '1')]);
    await store().commit([{ key: 'p/a' }]);
    await recorder.until(3);
    expect(recorder.texts).toEqual(['put p/a 2', 'put p/b 1', 'delete p/a 2']);
    expect(recorder.seen.map(({ previous }) => previous?.value)).toEqual(['1', undefined, '2']);
    expect(recorder.seen[2]?.entry.modRevision).toBe(recorder.seen[2]?.revision);
  });

  it('starts in the past without a gap or a repeat', async () => {
    const from = await put('p/a', '1');
    await put('p/a', '2');
    const recorder = new Recorder();
    const late = put('p/a', '3');
    store().watch('p/', from, recorder.handler);
    await late;
    await put('p/a', '4');
    await recorder.until(3);
    expect(recorder.texts).toEqual(['put p/a 2', 'put p/a 3', 'put p/a 4']);
  });

  it('has told its watchers when it tells the writer', async () => {
    const recorder = new Recorder();
    const watch = store().watch('p/', store().revision, recorder.handler);
    const revision = await put('p/a', '1');
    await recorder.until(1);
    expect(watch.progress).toBeGreaterThanOrEqual(revision);
  });

  it('says nothing more once closed', async () => {
    const recorder = new Recorder();
    store().watch('p/', store().revision, recorder.handler).close();
    const other = new Recorder();
    store().watch('p/', store().revision, other.handler);
    await put('p/a', '1');
    await other.until(1);
    expect(recorder.seen).toEqual([]);
  });
}

function histories(store: () => ObjectStore, put: Put): void {
  it('serves history from the compacted revision on and says Gone below', async () => {
    const first = await put('p/a', '1');
    const second = await put('p/a', '2');
    await put('p/a', '3');
    await store().compact(second);
    expect(store().oldest).toBe(second);

    const kept = new Recorder();
    store().watch('p/', second, kept.handler);
    await kept.until(1);
    expect(kept.texts).toEqual(['put p/a 3']);

    const gone = new Recorder();
    store().watch('p/', first, gone.handler);
    expect(await gone.ended).toBeInstanceOf(Gone);
    await expect(store().list('p/', { revision: first, after: 'p/' })).rejects.toBeInstanceOf(Gone);
    expect((await store().list('p/')).entries.map(({ value }) => value)).toEqual(['3']);
  });
}
