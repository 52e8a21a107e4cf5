import { errorFields, type Log } from '../fault/log.ts';
import type { Event, KubeObject } from '../kube/objects.ts';
import { RESOURCES } from '../kube/resources.ts';
import { ApiError, type KubeClient } from './client.ts';
import { type Clock, SYSTEM_CLOCK, timeOf } from './clock.ts';

/** What an Event is about: an object, or a part of one by its field path (`spec.containers{web}`). */
export interface EventTarget extends KubeObject {
  readonly fieldPath?: string;
}

export interface EventRecorderOptions {
  readonly client: KubeClient;
  /** Who tells, e.g. `kubelet`, `default-scheduler`, `deployment-controller`. */
  readonly component: string;
  /** The node the component runs on, if it is one of a node. */
  readonly host?: string;
  readonly log: Log;
  readonly clock?: Clock;
}

/** Events whose count we keep: client-go's cache holds as many. */
const REMEMBERED = 4096;

/**
 * Writes Events, one after the other and never in the caller's way. The same reason and message about the same object
 * count up the Event that exists (count, lastTimestamp), as client-go's correlator does, instead of making another.
 */
export class EventRecorder {
  readonly #options: EventRecorderOptions;
  readonly #clock: Clock;
  readonly #written = new Map<string, { readonly name: string; count: number }>();
  #last: Promise<void> = Promise.resolve();
  #serial = 0;

  constructor(options: EventRecorderOptions) {
    this.#options = options;
    this.#clock = options.clock ?? SYSTEM_CLOCK;
  }

  /** Returns at once. An Event that cannot be written is logged: Events are best effort, as upstream's are. */
  event(about: EventTarget, type: 'Normal' | 'Warning', reason: string, message: string): void {
    const at = timeOf(this.#clock.now());
    this.#last = this.#last.then(async () => {
      try {
        await this.#write(about, type, reason, message, at);
      } catch (error) {
        // The component ends, and its last Events with it.
        if (error instanceof DOMException && error.name === 'AbortError') return;
        this.#options.log.warn(
          `event ${reason} about ${about.kind} ${about.metadata?.name} is lost`,
          errorFields(error),
        );
      }
    });
  }

  /** Resolves when every Event told so far is written or lost. */
  flush(): Promise<void> {
    return this.#last;
  }

  async #write(about: EventTarget, type: string, reason: string, message: string, at: string): Promise<void> {
    const { name = '', uid = '' } = about.metadata ?? {};
    // Events about objects of the cluster stand in the namespace default (client-go, tools/record).
    const namespace = about.metadata?.namespace ?? 'default';
    const key = JSON.stringify([about.kind, namespace, name, uid, about.fieldPath, type, reason, message]);
    const known = this.#written.get(key);
    if (known !== undefined && (await this.#countUp(namespace, known, at))) return;
    const event = this.#eventOf(about, { type, reason, message, at, namespace });
    await this.#options.client.create<Event>(RESOURCES.events, event, namespace);
    this.#remember(key, event.metadata.name ?? '');
  }

  /** False when the Event has gone meanwhile: they are kept for an hour. */
  async #countUp(
    namespace: string,
    known: { readonly name: string; count: number },
    at: string,
  ): Promise<boolean> {
    try {
      const key = { name: known.name, namespace };
      const body = { count: known.count + 1, lastTimestamp: at };
      await this.#options.client.patch<Event>(RESOURCES.events, key, 'merge', body);
      known.count += 1;
      return true;
    } catch (error) {
      if (ApiError.is(error, 'NotFound')) return false;
      throw error;
    }
  }

  #remember(key: string, name: string): void {
    this.#written.delete(key);
    this.#written.set(key, { name, count: 1 });
    const [oldest] = this.#written.keys();
    if (this.#written.size > REMEMBERED && oldest !== undefined) this.#written.delete(oldest);
  }

  #eventOf(
    about: EventTarget,
    told: { type: string; reason: string; message: string; at: string; namespace: string },
  ): Event {
    const { component, host } = this.#options;
    const { name = '', namespace, uid, resourceVersion } = about.metadata ?? {};
    this.#serial += 1;
    const unique = (BigInt(this.#clock.now()) * 1_000_000n + BigInt(this.#serial % 1_000_000)).toString(16);
    return {
      apiVersion: 'v1',
      kind: 'Event',
      metadata: { name: `${name}.${unique}`, namespace: told.namespace },
      involvedObject: {
        name,
        ...(about.apiVersion === undefined ? {} : { apiVersion: about.apiVersion }),
        ...(about.kind === undefined ? {} : { kind: about.kind }),
        ...(namespace === undefined ? {} : { namespace }),
        ...(uid === undefined ? {} : { uid }),
        ...(resourceVersion === undefined ? {} : { resourceVersion }),
        ...(about.fieldPath === undefined ? {} : { fieldPath: about.fieldPath }),
      },
      type: told.type,
      reason: told.reason,
      message: told.message,
      source: { component, ...(host === undefined ? {} : { host }) },
      reportingComponent: component,
      reportingInstance: host ?? '',
      firstTimestamp: told.at,
      lastTimestamp: told.at,
      count: 1,
    };
  }
}
