/**
 * The store on SQLite: `cur` holds the objects, `log` the history that watches and old pages need. One process writes, and
 * it keeps `cur` in memory, so reads never touch the file.
 *
 * All commits of one event-loop tick share one transaction (group commit): a flood of small writes costs one fsync a tick.
 */
import { DatabaseSync, type StatementSync } from 'node:sqlite';
import { Fault } from '../fault/fault.ts';
import { Keyspace } from './keyspace.ts';
import {
  type Change,
  type Entry,
  Gone,
  type ListOptions,
  type ObjectStore,
  type Outcome,
  type Page,
  type StoreEvent,
  type Watch,
  type WatchHandler,
} from './store.ts';
import { WatchHub } from './watch-hub.ts';

export interface SqliteStoreOptions {
  /** Milliseconds since the epoch. */
  readonly now?: () => number;
  /** History younger than this is kept, in milliseconds; 5 minutes, as upstream's compaction, unless given. */
  readonly windowMs?: number;
  /** At most so many revisions of history are kept, however young; 100,000 unless given. */
  readonly windowRevisions?: number;
}

/** The file is made if it is missing; `:memory:` keeps nothing. Throws {@link Fault} FE007. */
export function openSqliteStore(file: string, options: SqliteStoreOptions = {}): ObjectStore {
  try {
    return new SqliteStore(file, options);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new Fault(
      'FE007',
      `the store ${file} cannot be opened: ${why}`,
      'end the Fairlead that uses it, or choose another folder with --data',
      { cause: error },
    );
  }
}

const SCHEMA = `
  PRAGMA locking_mode = EXCLUSIVE;
  PRAGMA busy_timeout = 2000;
  PRAGMA journal_mode = WAL;
  PRAGMA synchronous = FULL;
  CREATE TABLE IF NOT EXISTS cur (
    key TEXT PRIMARY KEY, create_rev INTEGER NOT NULL, mod_rev INTEGER NOT NULL, value TEXT NOT NULL
  ) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS log (
    rev INTEGER NOT NULL, key TEXT NOT NULL, type TEXT NOT NULL, value TEXT NOT NULL, create_rev INTEGER NOT NULL,
    prev TEXT, prev_rev INTEGER, PRIMARY KEY (rev, key)
  ) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
`;

/** Rows deleted from the log at a time; about a millisecond, so that writers hardly wait. */
const COMPACTION_BATCH = 500;

interface Pending {
  readonly changes: readonly Change[];
  readonly resolve: (outcome: Outcome) => void;
  readonly reject: (error: unknown) => void;
}

class SqliteStore implements ObjectStore {
  readonly #db: DatabaseSync;
  readonly #statements: Statements;
  readonly #keyspace = new Keyspace();
  readonly #hub = new WatchHub();
  readonly #window: CompactionWindow;
  readonly #timer: NodeJS.Timeout;
  #revision: number;
  #oldest: number;
  #pending: Pending[] = [];
  #flushing: NodeJS.Immediate | undefined;

  constructor(file: string, options: SqliteStoreOptions) {
    this.#db = new DatabaseSync(file);
    this.#db.exec(SCHEMA);
    this.#statements = prepare(this.#db);
    this.#keyspace.load(readEntries(this.#db));
    this.#oldest = readNumber(this.#db, "SELECT value AS n FROM meta WHERE name = 'oldest'") ?? 1;
    const newest = readNumber(this.#db, 'SELECT max(rev) AS n FROM log') ?? 1;
    this.#revision = Math.max(this.#oldest, newest);
    const windowMs = options.windowMs ?? 300_000;
    this.#window = new CompactionWindow(
      options.now ?? Date.now,
      windowMs,
      options.windowRevisions ?? 100_000,
    );
    this.#window.due(this.#revision);
    this.#timer = setInterval(
      () => void this.compact(this.#window.due(this.#revision)),
      windowMs / 5,
    ).unref();
  }

  get revision(): number {
    return this.#revision;
  }

  get oldest(): number {
    return this.#oldest;
  }

  async get(key: string): Promise<Entry | undefined> {
    return this.#keyspace.get(key);
  }

  async list(prefix: string, options: ListOptions = {}): Promise<Page> {
    const revision = options.revision ?? this.#revision;
    if (revision >= this.#revision) {
      return { revision: this.#revision, ...this.#keyspace.page(prefix, options) };
    }
    if (revision < this.#oldest) throw new Gone(revision, this.#oldest);
    return { revision, ...this.#pictureAt(revision, prefix).page(prefix, options) };
  }

  commit(changes: readonly Change[]): Promise<Outcome> {
    return new Promise((resolve, reject) => {
      this.#pending.push({ changes, resolve, reject });
      this.#flushing ??= setImmediate(() => this.#flush());
    });
  }

  watch(prefix: string, from: number, handler: WatchHandler): Watch {
    if (from < this.#oldest) {
      let open = true;
      queueMicrotask(() => open && handler.ended(new Gone(from, this.#oldest)));
      const close = () => {
        open = false;
      };
      return { progress: from, close };
    }
    return this.#hub.add(prefix, handler, from, Math.max(from, this.#revision), this.#history(prefix, from));
  }

  async compact(revision: number): Promise<void> {
    const target = Math.min(revision, this.#revision);
    if (target <= this.#oldest) return;
    // First the promise that this history is gone, then its removal: a crash between the two only leaves dead rows.
    this.#statements.oldest.run(target);
    this.#oldest = target;
    for (;;) {
      if (!this.#db.isOpen) return;
      const { changes } = this.#statements.forget.run(target, COMPACTION_BATCH);
      if (Number(changes) < COMPACTION_BATCH) return;
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    this.#hub.closeAll();
    this.#flush();
    if (this.#db.isOpen) this.#db.close();
  }

  #flush(): void {
    clearImmediate(this.#flushing);
    this.#flushing = undefined;
    const batch = this.#pending;
    this.#pending = [];
    if (batch.length === 0) return;
    const staging = new Staging(this.#keyspace, this.#revision);
    const outcomes = batch.map((pending) => ({ pending, outcome: staging.apply(pending.changes) }));
    try {
      if (staging.events.length > 0) this.#write(staging.events);
    } catch (error) {
      for (const { reject } of batch) reject(error);
      return;
    }
    this.#adopt(staging);
    for (const { pending, outcome } of outcomes) pending.resolve(outcome);
  }

  #write(events: readonly StoreEvent[]): void {
    this.#db.exec('BEGIN IMMEDIATE');
    try {
      for (const event of events) this.#writeEvent(event);
      this.#db.exec('COMMIT');
    } catch (error) {
      if (this.#db.isTransaction) this.#db.exec('ROLLBACK');
      throw error;
    }
  }

  #writeEvent({ type, revision, key, entry, previous }: StoreEvent): void {
    if (type === 'put') this.#statements.put.run(key, entry.createRevision, entry.modRevision, entry.value);
    else this.#statements.remove.run(key);
    this.#statements.log.run(
      revision,
      key,
      type,
      entry.value,
      entry.createRevision,
      previous?.value ?? null,
      previous?.modRevision ?? null,
    );
  }

  /** What is durable becomes visible: first to readers, then to watchers, and then to those who wrote it. */
  #adopt(staging: Staging): void {
    for (const { type, key, entry } of staging.events) {
      if (type === 'put') this.#keyspace.set(entry);
      else this.#keyspace.delete(key);
    }
    this.#revision = staging.revision;
    this.#hub.publish(staging.events, staging.revision);
  }

  #history(prefix: string, from: number): StoreEvent[] {
    if (from >= this.#revision) return [];
    return this.#statements.since.all(from, prefix, `${prefix}\u{10ffff}`).map(eventOf);
  }

  /** The keyspace as it was: the present, with every change after the revision undone, newest first. */
  #pictureAt(revision: number, prefix: string): Keyspace {
    const past = new Keyspace();
    past.load(this.#keyspace.page(prefix, {}).entries);
    for (const { key, previous } of this.#history(prefix, revision).reverse()) {
      if (previous === undefined) past.delete(key);
      else past.set(previous);
    }
    return past;
  }
}

/** Commits of one transaction, each seeing those before it. */
class Staging {
  readonly events: StoreEvent[] = [];
  readonly #base: Keyspace;
  readonly #changed = new Map<string, Entry | undefined>();
  revision: number;

  constructor(base: Keyspace, revision: number) {
    this.#base = base;
    this.revision = revision;
  }

  apply(changes: readonly Change[]): Outcome {
    for (const { key, expect } of changes) {
      const current = this.#current(key);
      if (expect !== undefined && expect !== (current?.modRevision ?? 0)) return { ok: false, key, current };
    }
    const real = changes.filter(({ key, value }) => value !== undefined || this.#current(key) !== undefined);
    if (real.length > 0) this.revision += 1;
    for (const change of real) this.#stage(change);
    const entries = changes.map(({ key }) => this.#current(key));
    return { ok: true, revision: this.revision, entries };
  }

  #current(key: string): Entry | undefined {
    return this.#changed.has(key) ? this.#changed.get(key) : this.#base.get(key);
  }

  #stage({ key, value }: Change): void {
    const { revision } = this;
    const previous = this.#current(key);
    const createRevision = previous?.createRevision ?? revision;
    const entry = { key, value: value ?? previous?.value ?? '', createRevision, modRevision: revision };
    this.#changed.set(key, value === undefined ? undefined : entry);
    this.events.push({ type: value === undefined ? 'delete' : 'put', revision, key, entry, previous });
  }
}

/** Remembers which revision was the newest when, to know how far the history is old enough to forget. */
class CompactionWindow {
  readonly #now: () => number;
  readonly #ageMs: number;
  readonly #revisions: number;
  #marks: { readonly at: number; readonly revision: number }[] = [];

  constructor(now: () => number, ageMs: number, revisions: number) {
    this.#now = now;
    this.#ageMs = ageMs;
    this.#revisions = revisions;
  }

  /** The revision below which history may go, given the newest one. */
  due(newest: number): number {
    const now = this.#now();
    const old = this.#marks.filter((mark) => mark.at <= now - this.#ageMs).at(-1);
    this.#marks = this.#marks.filter((mark) => mark.at >= (old?.at ?? 0));
    this.#marks.push({ at: now, revision: newest });
    return Math.max(old?.revision ?? 0, newest - this.#revisions);
  }
}

type Statements = Record<'put' | 'remove' | 'log' | 'since' | 'oldest' | 'forget', StatementSync>;

function prepare(db: DatabaseSync): Statements {
  return {
    put: db.prepare(
      `INSERT INTO cur (key, create_rev, mod_rev, value) VALUES (?, ?, ?, ?)
       ON CONFLICT (key) DO UPDATE SET create_rev = excluded.create_rev, mod_rev = excluded.mod_rev, value = excluded.value`,
    ),
    remove: db.prepare('DELETE FROM cur WHERE key = ?'),
    log: db.prepare(
      'INSERT INTO log (rev, key, type, value, create_rev, prev, prev_rev) VALUES (?, ?, ?, ?, ?, ?, ?)',
    ),
    since: db.prepare('SELECT * FROM log WHERE rev > ? AND key >= ? AND key < ? ORDER BY rev'),
    oldest: db.prepare(
      "INSERT INTO meta (name, value) VALUES ('oldest', ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
    ),
    forget: db.prepare(
      'DELETE FROM log WHERE (rev, key) IN (SELECT rev, key FROM log WHERE rev <= ? ORDER BY rev LIMIT ?)',
    ),
  };
}

type Row = ReturnType<StatementSync['all']>[number];

function readNumber(db: DatabaseSync, sql: string): number | undefined {
  const n = db.prepare(sql).get()?.n;
  return typeof n === 'number' ? n : undefined;
}

function* readEntries(db: DatabaseSync): Generator<Entry> {
  for (const row of db.prepare('SELECT * FROM cur').iterate()) {
    yield {
      key: String(row.key),
      value: String(row.value),
      createRevision: Number(row.create_rev),
      modRevision: Number(row.mod_rev),
    };
  }
}

function eventOf(row: Row): StoreEvent {
  const key = String(row.key);
  const revision = Number(row.rev);
  const createRevision = Number(row.create_rev);
  const entry = { key, value: String(row.value), createRevision, modRevision: revision };
  const previous =
    row.prev === null
      ? undefined
      : { key, value: String(row.prev), createRevision, modRevision: Number(row.prev_rev) };
  return { type: row.type === 'delete' ? 'delete' : 'put', revision, key, entry, previous };
}
