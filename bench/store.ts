import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { openSqliteStore } from '../src/store/sqlite-store.ts';
import { report } from './report.ts';

const VALUE = JSON.stringify({ text: 'x'.repeat(2_000) });

/** Durable writes of 2 KB by many writers at once, beside SQLite with a transaction each; and how fast watchers are told. */
export async function run(): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'fairlead-bench-'));
  try {
    const n = 5_000;
    const ours = n / (await groupCommits(join(folder, 'ours.db'), n, 128));
    const peer = n / bareInserts(join(folder, 'peer.db'), n);
    const bigger = { smallerIsBetter: false } as const;
    const writes = 'durable writes, 128 writers; peer: SQLite, a transaction each';
    report({ name: writes, ours, peer, unit: 'writes/s', n, ...bigger });
    const [changes, watchers] = [1_000, 200] as const;
    const told = await fanOut(join(folder, 'fan.db'), changes, watchers);
    const fan = 'changes handed to 200 watchers inside the process, commits included; peer: the bound';
    report({ name: fan, ours: told, peer: 200_000, unit: 'deliveries/s', n: changes * watchers, ...bigger });
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Seconds. */
async function groupCommits(file: string, n: number, writers: number): Promise<number> {
  const store = openSqliteStore(file);
  const start = performance.now();
  let next = 0;
  const write = async () => {
    while (next < n) {
      next += 1;
      await store.commit([{ key: `p/${next}`, value: VALUE, expect: 0 }]);
    }
  };
  await Promise.all(Array.from({ length: writers }, write));
  const seconds = (performance.now() - start) / 1000;
  await store.close();
  return seconds;
}

function bareInserts(file: string, n: number): number {
  const db = new DatabaseSync(file);
  db.exec(
    'PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; CREATE TABLE t (key TEXT PRIMARY KEY, value TEXT)',
  );
  const insert = db.prepare('INSERT INTO t VALUES (?, ?)');
  const start = performance.now();
  for (let at = 0; at < n; at += 1) insert.run(`p/${at}`, VALUE);
  const seconds = (performance.now() - start) / 1000;
  db.close();
  return seconds;
}

/** Deliveries a second, to watchers that count. */
async function fanOut(file: string, changes: number, watchers: number): Promise<number> {
  const store = openSqliteStore(file);
  let delivered = 0;
  const handler = {
    events: (events: readonly unknown[]) => {
      delivered += events.length;
    },
    ended: (error: Error) => {
      throw error;
    },
  };
  for (let at = 0; at < watchers; at += 1) store.watch('p/', store.revision, handler);
  const start = performance.now();
  await Promise.all(
    Array.from({ length: changes }, (_, at) => store.commit([{ key: `p/${at}`, value: VALUE }])),
  );
  const seconds = (performance.now() - start) / 1000;
  await store.close();
  return delivered / seconds;
}
