import type {
  DeleteOptions,
  KubeClient,
  List,
  ListOptions,
  PatchType,
  WatchEvent,
  WatchOptions,
} from '../client/client.ts';
import type { KubeObject } from '../kube/objects.ts';
import type { Resource } from '../kube/resources.ts';

/**
 * A client that sends nothing once its signal has aborted. A sync that is under way when the controllers end must not go on: whoever
 * runs them next would count what is there and not what is still to come.
 */
export class EndingClient implements KubeClient {
  readonly #client: KubeClient;
  readonly #signal: AbortSignal;

  constructor(client: KubeClient, signal: AbortSignal) {
    this.#client = client;
    this.#signal = signal;
  }

  async list<T extends KubeObject>(resource: Resource, options?: ListOptions): Promise<List<T>> {
    return this.#open().list(resource, options);
  }

  async get<T extends KubeObject>(resource: Resource, name: string, namespace?: string): Promise<T> {
    return this.#open().get(resource, name, namespace);
  }

  async create<T extends KubeObject>(resource: Resource, object: T, namespace?: string): Promise<T> {
    return this.#open().create(resource, object, namespace);
  }

  async update<T extends KubeObject>(resource: Resource, object: T, subresource?: string): Promise<T> {
    return this.#open().update(resource, object, subresource);
  }

  async patch<T extends KubeObject>(
    resource: Resource,
    key: { readonly name: string; readonly namespace?: string },
    type: PatchType,
    body: unknown,
    subresource?: string,
  ): Promise<T> {
    return this.#open().patch(resource, key, type, body, subresource);
  }

  async delete(
    resource: Resource,
    key: { readonly name: string; readonly namespace?: string },
    options?: DeleteOptions,
  ): Promise<void> {
    return this.#open().delete(resource, key, options);
  }

  watch<T extends KubeObject>(resource: Resource, options: WatchOptions): AsyncIterable<WatchEvent<T>> {
    return this.#open().watch(resource, options);
  }

  async request<T>(method: 'GET' | 'POST' | 'PUT' | 'DELETE', path: string, body?: unknown): Promise<T> {
    return this.#open().request(method, path, body);
  }

  /** The client inside stays its owner's. */
  async close(): Promise<void> {
    return Promise.resolve();
  }

  #open(): KubeClient {
    this.#signal.throwIfAborted();
    return this.#client;
  }
}
