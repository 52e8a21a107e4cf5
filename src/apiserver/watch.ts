/**
 * Watches: a line of JSON an event, until the client leaves, the time it asked for is over, or it cannot keep up.
 */
import { apiVersionOf } from '../kube/resources.ts';
import { tableOf } from '../kube/table/table.ts';
import { type Entry, Gone, type StoreEvent, type Watch } from '../store/store.ts';
import { type Call, includeObjectOf, wantedOf } from './call.ts';
import { askedVersion } from './list.ts';
import { METADATA, METADATA_LIST, TABLE, type Wanted } from './negotiate.ts';
import { type Selection, selectionOf } from './registry/selection.ts';
import { type AnyObject, decode, prefixOf, textOf } from './registry/stored.ts';
import { expired, internal, StatusError, tooLargeResourceVersion } from './status.ts';

type EventType = 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK' | 'ERROR';

/** Upstream's cacher sends one a minute. */
const BOOKMARK_MS = 60_000;
/** A client this far behind is cut off: it lists anew, which is cheaper than what it has missed. */
const MOST_UNSENT_BYTES = 64 * 1024 * 1024;
const INITIAL_EVENTS_END = 'k8s.io/initial-events-end';

export async function handleWatch(call: Call): Promise<undefined> {
  const { query, registry } = call;
  const version = askedVersion(call);
  if (version > registry.store.revision) throw tooLargeResourceVersion(version, registry.store.revision);
  const { resource, namespace, name } = call.route;
  const selection = selectionOf(resource, query);
  const stream = new WatchStream(call, wantedOf(call), (object) => {
    const named = name === undefined || object.metadata.name === name;
    return named && (selection === undefined || selection(object));
  });
  const prefix = prefixOf(resource, namespace);
  const fromStart = version === 0 || query.get('sendInitialEvents') === 'true';
  let from = version;
  if (fromStart) {
    const page = await registry.store.list(prefix);
    from = page.revision;
    stream.begin();
    stream.initial(page.entries);
    if (query.get('sendInitialEvents') === 'true') stream.bookmark(from, { [INITIAL_EVENTS_END]: 'true' });
  } else {
    stream.begin();
  }
  stream.follow(prefix, from);
  return undefined;
}

/** One watch's answer. */
class WatchStream {
  readonly #call: Call;
  readonly #wanted: Wanted;
  readonly #selection: Selection;
  readonly #bookmarks: boolean;
  #sentColumns = false;

  constructor(call: Call, wanted: Wanted, selection: Selection) {
    this.#call = call;
    this.#wanted = wanted;
    this.#selection = selection;
    this.#bookmarks = isTrue(call.query.get('allowWatchBookmarks'));
  }

  begin(): void {
    this.#call.response.writeHead(200, {
      'content-type': 'application/json',
      'cache-control': 'no-cache, private',
    });
    // The head leaves with the first byte; a client waits for it before anything happens.
    this.#call.response.write('');
  }

  initial(entries: readonly Entry[]): void {
    const lines = entries
      .filter((entry) => this.#selection(decode(entry)))
      .map((entry) => this.#line('ADDED', entry));
    if (lines.length > 0) this.#call.response.write(lines.join(''));
  }

  follow(prefix: string, from: number): void {
    const { response, query, registry } = this.#call;
    const watch = registry.store.watch(prefix, from, {
      events: (events) => this.#send(events),
      ended: (error) => this.#fail(error),
    });
    const bookmarks = this.#bookmarks ? setInterval(() => this.#progress(watch), BOOKMARK_MS) : undefined;
    // As upstream, a random time between half an hour and an hour, so that clients do not all come back at once.
    const seconds = Number(query.get('timeoutSeconds') ?? 0) || 1800 * (1 + Math.random());
    const end = setTimeout(() => response.end(), Math.min(seconds * 1000, 2 ** 31 - 1));
    const stop = () => {
      watch.close();
      clearInterval(bookmarks);
      clearTimeout(end);
    };
    response.once('close', stop);
    if (response.writableEnded) stop();
  }

  /** Says how far the client has seen everything. */
  bookmark(revision: number, annotations?: Record<string, string>): void {
    const { resource } = this.#call.route;
    const object: AnyObject = {
      kind: resource.kind,
      apiVersion: apiVersionOf(resource),
      metadata: { resourceVersion: String(revision), ...(annotations === undefined ? {} : { annotations }) },
    };
    this.#call.response.write(eventLine('BOOKMARK', this.#inForm(object) ?? JSON.stringify(object)));
  }

  #progress(watch: Watch): void {
    if (!this.#call.response.writableEnded) this.bookmark(watch.progress);
  }

  #send(events: readonly StoreEvent[]): void {
    const { response } = this.#call;
    if (response.writableEnded) return;
    const lines = events.map((event) => this.#lineOf(event)).join('');
    if (lines !== '') response.write(lines);
    if (response.writableLength > MOST_UNSENT_BYTES) response.destroy();
  }

  /** With a selection, a change may let an object in or take it out. */
  #lineOf({ type, entry, previous }: StoreEvent): string {
    const before = previous !== undefined && this.#selection(decode(previous));
    if (type === 'delete') return before ? this.#line('DELETED', entry) : '';
    if (this.#selection(decode(entry))) return this.#line(before ? 'MODIFIED' : 'ADDED', entry);
    // As it was when the client could see it, but with the revision at which it left.
    return before ? this.#line('DELETED', { ...previous, modRevision: entry.modRevision }) : '';
  }

  #line(type: EventType, entry: Entry): string {
    return eventLine(type, this.#inForm(decode(entry)) ?? textOf(entry));
  }

  /** JSON of the form the client wants; undefined for the object itself. */
  #inForm(object: AnyObject): string | undefined {
    const { as } = this.#wanted;
    if (as === METADATA.as || as === METADATA_LIST.as) {
      return JSON.stringify({ kind: METADATA.as, apiVersion: 'meta.k8s.io/v1', metadata: object.metadata });
    }
    if (as !== TABLE.as) return undefined;
    const { route, registry } = this.#call;
    const { resourceVersion } = object.metadata;
    const table = tableOf(route.resource, [object], {
      now: registry.now(),
      includeObject: includeObjectOf(this.#call),
      metadata: resourceVersion === undefined ? {} : { resourceVersion },
    });
    // Columns come once a watch: kubectl prints a header each time it is given them.
    const text = JSON.stringify(this.#sentColumns ? { ...table, columnDefinitions: null } : table);
    this.#sentColumns = true;
    return text;
  }

  #fail(error: Error): void {
    const { response } = this.#call;
    const answer = error instanceof Gone ? expired(error.message) : error;
    const { status } = answer instanceof StatusError ? answer : internal(error.message);
    response.write(eventLine('ERROR', JSON.stringify(status)));
    response.end();
  }
}

const eventLine = (type: EventType, json: string): string => `{"type":"${type}","object":${json}}\n`;

export const isTrue = (text: string | null): boolean => text === 'true' || text === '1';
