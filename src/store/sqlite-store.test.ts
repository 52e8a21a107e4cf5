import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openSqliteStore } from './sqlite-store.ts';
import { describeObjectStore } from './store-contract.ts';

describeObjectStore('SQLite', async () => openSqliteStore(':memory:'));

describe('the SQLite file', () => {
  let folder: string;
  let file: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'fairlead-store-'));
    file = join(folder, 'objects.db');
  });
  afterEach(() => rm(folder, { recursive: true }));

  it('keeps objects, revisions and history over a restart', async () => {
    const store = openSqliteStore(file);
    await store.commit([{ key: 'p/a', value: '1' }]);
    const from = store.revision;
    await store.commit([{ key: 'p/b', value: '1' }]);
    await store.commit([{ key: 'p/a' }]);
    await store.close();

    const again = openSqliteStore(file);
    expect(again.revision).toBe(from + 2);
    expect((await again.list('')).entries.map(({ key }) => key)).toEqual(['p/b']);
    const events = new Promise((resolve) =>
      again.watch('', from, {
        events: (some) => resolve(some.map(({ type, key }) => `${type} ${key}`)),
        ended: resolve,
      }),
    );
    expect(await events).toEqual(['put p/b', 'delete p/a']);
    await again.close();
  });

  it('never goes back to an older revision, even with all history compacted and the last object deleted', async () => {
    const store = openSqliteStore(file);
    await store.commit([{ key: 'p/a', value: '1' }]);
    await store.commit([{ key: 'p/a' }]);
    const { revision } = store;
    await store.compact(revision);
    await store.close();
    const again = openSqliteStore(file);
    expect(again.revision).toBe(revision);
    expect(again.oldest).toBe(revision);
    await again.close();
  });

  it('forgets history by number in batches', async () => {
    const store = openSqliteStore(file, { windowMs: 50, windowRevisions: 10 });
    for (let n = 0; n < 1200; n += 1) {
      const last = n === 1199;
      const commit = store.commit([{ key: 'p/a', value: String(n) }]);
      if (last) await commit;
    }
    const newest = store.revision;
    await expect.poll(() => store.oldest, { timeout: 5_000 }).toBe(newest - 10);
    await store.compact(newest - 10);
    await store.close();
    const db = new DatabaseSync(file);
    await expect.poll(() => db.prepare('SELECT count(*) AS n FROM log').get()?.n).toBe(10);
    db.close();
  });

  it('is opened once: a second opener is told what to do', async () => {
    const store = openSqliteStore(file);
    await store.commit([{ key: 'p/a', value: '1' }]);
    expect(() => openSqliteStore(file)).toThrow(/cannot be opened: database is locked/);
    await store.close();
  });
});
