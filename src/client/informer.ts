import { errorFields, type Log, lineLog } from '../fault/log.ts';
import type { KubeObject } from '../kube/objects.ts';
import type { Resource } from '../kube/resources.ts';
import { backoffMs } from './backoff.ts';
import { Cache, type Change, type Indexer } from './cache.ts';
import {
  ApiError,
  type Informer,
  type InformerHandler,
  type KubeClient,
  type ListOptions,
  type Trimming,
  type WatchEvent,
} from './client.ts';
import { type Clock, SYSTEM_CLOCK, sleep } from './clock.ts';

export interface InformerOptions<T extends KubeObject> extends ListOptions, Trimming<T> {
  readonly indexers?: Readonly<Record<string, Indexer<T>>>;
  readonly clock?: Clock;
  readonly random?: () => number;
  readonly log?: Log;
  /** See WatchOptions. */
  readonly silenceMs?: number;
}

/** Starts at once; ends with `options.signal` or stop(). */
export function createInformer<T extends KubeObject>(
  client: KubeClient,
  resource: Resource,
  options: InformerOptions<T> = {},
): Informer<T> {
  return new Reflector(client, resource, options);
}

const stderrLog = (): Log =>
  lineLog(
    (line) => process.stderr.write(line),
    () => new Date(),
    { component: 'informer' },
  );

const RETRY = { baseMs: 100, maxMs: 5_000 };

/**
 * Keeps the cache as client-go's reflector does: list, watch from the list's revision, watch again from the last revision
 * seen when the watch ends or breaks, and list again when the server has forgotten that revision (410 Gone).
 */
class Reflector<T extends KubeObject> implements Informer<T> {
  readonly synced: Promise<void>;
  readonly #client: KubeClient;
  readonly #resource: Resource;
  readonly #options: InformerOptions<T>;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #cache: Cache<T>;
  readonly #handlers = new Set<InformerHandler<T>>();
  readonly #stop = new AbortController();
  readonly #signal: AbortSignal;
  readonly #firstList = Promise.withResolvers<void>();
  #hasSynced = false;
  #failures = 0;

  constructor(client: KubeClient, resource: Resource, options: InformerOptions<T>) {
    this.#client = client;
    this.#resource = resource;
    this.#options = options;
    this.#clock = options.clock ?? SYSTEM_CLOCK;
    this.#log = options.log ?? stderrLog();
    this.#cache = new Cache(options.indexers);
    this.#signal =
      options.signal === undefined ? this.#stop.signal : AbortSignal.any([options.signal, this.#stop.signal]);
    this.synced = this.#firstList.promise;
    // Nobody need wait for the first list, and then nobody hears that it never came.
    this.synced.catch(() => undefined);
    void this.#run();
  }

  get hasSynced(): boolean {
    return this.#hasSynced;
  }

  get(key: string): T | undefined {
    return this.#cache.get(key);
  }

  values(): IterableIterator<T> {
    return this.#cache.values();
  }

  lookup(index: string, value: string): readonly T[] {
    return this.#cache.lookup(index, value);
  }

  subscribe(handler: InformerHandler<T>): () => void {
    for (const object of this.#cache.values()) this.#guard(() => handler.added?.(object));
    if (this.#hasSynced) this.#guard(() => handler.synced?.());
    this.#handlers.add(handler);
    return () => this.#handlers.delete(handler);
  }

  stop(): void {
    this.#stop.abort();
  }

  async #run(): Promise<void> {
    let revision: string | undefined;
    while (!this.#signal.aborted) {
      try {
        revision ??= await this.#list();
        revision = await this.#watch(revision);
      } catch (error) {
        if (this.#signal.aborted) break;
        if (isGone(error)) revision = undefined;
        else if (error instanceof Broken) revision = error.revision;
        await this.#pause(error);
      }
    }
    this.#firstList.reject(
      new Error(`the informer of ${this.#resource.plural} was stopped before its first list`),
    );
  }

  async #list(): Promise<string> {
    const { namespace, labelSelector, fieldSelector, trim } = this.#options;
    const { resourceVersion, items } = await this.#client.list<T>(this.#resource, {
      ...(namespace === undefined ? {} : { namespace }),
      ...(labelSelector === undefined ? {} : { labelSelector }),
      ...(fieldSelector === undefined ? {} : { fieldSelector }),
      ...(trim === undefined ? {} : { trim }),
      signal: this.#signal,
    });
    this.#signal.throwIfAborted();
    this.#tell(this.#cache.replace(items));
    this.#hasSynced = true;
    this.#firstList.resolve();
    for (const handler of [...this.#handlers]) this.#guard(() => handler.synced?.());
    return resourceVersion;
  }

  /** Follows the watch to its end; the revision to go on from, or undefined when a new list is due. */
  async #watch(from: string): Promise<string | undefined> {
    const { clock, random, log, indexers, trim, ...options } = this.#options;
    let revision = from;
    const events = this.#client.watch<T>(this.#resource, {
      ...options,
      resourceVersion: from,
      signal: this.#signal,
    });
    try {
      for await (const event of events) {
        if (event.type === 'ERROR') throw new ApiError(event.object);
        this.#failures = 0;
        revision = event.object.metadata?.resourceVersion ?? revision;
        this.#take(event);
      }
    } catch (error) {
      throw new Broken(error, revision);
    }
    // A server that ends every watch at once must not make us ask without a pause.
    if (revision === from) await this.#pause(undefined);
    return revision;
  }

  #take(event: Exclude<WatchEvent<T>, { type: 'ERROR' }>): void {
    if (event.type === 'BOOKMARK') return;
    const { trim = (object) => object } = this.#options;
    this.#tell(this.#cache.apply(event.type, trim(event.object)));
  }

  #tell(changes: readonly Change<T>[]): void {
    for (const change of changes) {
      for (const handler of [...this.#handlers]) this.#guard(() => tellOne(handler, change));
    }
  }

  /** One handler's defect must not keep the others, or the cache, from going on. */
  #guard(run: () => void): void {
    try {
      run();
    } catch (error) {
      this.#log.error(`a handler of ${this.#resource.plural} failed`, errorFields(error));
    }
  }

  async #pause(error: unknown): Promise<void> {
    this.#failures += 1;
    const cause = error instanceof Broken ? error.cause : error;
    // The first break is the ordinary end of a connection; what repeats is worth telling.
    if (cause !== undefined && this.#failures > 1) {
      this.#log.warn(`watching ${this.#resource.plural} failed ${this.#failures} times`, errorFields(cause));
    }
    const random = this.#options.random ?? Math.random;
    await sleep(this.#clock, backoffMs(this.#failures, { ...RETRY, random }), this.#signal);
  }
}

/** A watch that ended by an error, and the last revision it had told. */
class Broken extends Error {
  readonly revision: string;

  constructor(cause: unknown, revision: string) {
    super('the watch broke', { cause });
    this.revision = revision;
  }
}

function isGone(error: unknown): boolean {
  const cause = error instanceof Broken ? error.cause : error;
  return cause instanceof ApiError && (cause.code === 410 || cause.reason === 'Expired');
}

function tellOne<T extends KubeObject>(handler: InformerHandler<T>, change: Change<T>): void {
  if (change.type === 'added') handler.added?.(change.object);
  else if (change.type === 'updated') handler.updated?.(change.object, change.old);
  else handler.deleted?.(change.object);
}
