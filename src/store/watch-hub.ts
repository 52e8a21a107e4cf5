import type { StoreEvent, Watch, WatchHandler } from './store.ts';

interface Watcher {
  readonly handler: WatchHandler;
  /** Every change up to this revision was handed over or is in the backlog that is about to be. */
  seen: number;
  open: boolean;
}

/** Hands committed changes to watchers, in order. Watchers of one prefix share a look-up. */
export class WatchHub {
  readonly #byPrefix = new Map<string, Set<Watcher>>();

  /** Hands over `backlog` soon, then what is published after revision `seen`. */
  add(prefix: string, handler: WatchHandler, from: number, seen: number, backlog: StoreEvent[]): Watch {
    const watcher: Watcher = { handler, seen, open: true };
    const peers = this.#byPrefix.get(prefix) ?? new Set();
    this.#byPrefix.set(prefix, peers.add(watcher));
    let waiting = true;
    // A microtask, so that it runs before the next commit is published and the handler never runs within `watch`.
    queueMicrotask(() => {
      waiting = false;
      if (watcher.open && backlog.length > 0) handler.events(backlog);
    });
    return {
      get progress() {
        return waiting ? from : watcher.seen;
      },
      close: () => {
        watcher.open = false;
        peers.delete(watcher);
        if (peers.size === 0 && this.#byPrefix.get(prefix) === peers) this.#byPrefix.delete(prefix);
      },
    };
  }

  /** The changes of one or more commits, the newest at `revision`. */
  publish(events: readonly StoreEvent[], revision: number): void {
    for (const [prefix, watchers] of this.#byPrefix) {
      const matching = events.filter((event) => event.key.startsWith(prefix));
      for (const watcher of watchers) {
        // A watcher that was added while these are handed out has them in its backlog already.
        if (watcher.seen >= revision) continue;
        watcher.seen = revision;
        if (watcher.open && matching.length > 0) watcher.handler.events(matching);
      }
    }
  }

  closeAll(): void {
    for (const watchers of this.#byPrefix.values()) for (const watcher of watchers) watcher.open = false;
    this.#byPrefix.clear();
  }
}
