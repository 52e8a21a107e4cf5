/**
 * A cluster without kubelets for the tests of this room: the real API server on a unix socket, all controllers, and a stand-in
 * that reports pods running as the test says.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createApiServer, kubeconfigFor, openPki } from '../apiserver/api-server.ts';
import { ApiError, type Informer, type KubeClient } from '../client/client.ts';
import { type Clock, SYSTEM_CLOCK } from '../client/clock.ts';
import { socketClient } from '../client/http-client.ts';
import { createInformer } from '../client/informer.ts';
import { lineLog } from '../fault/log.ts';
import { Prefix } from '../ip/prefix.ts';
import { type KubeObject, keyOf, type Node, type Pod } from '../kube/objects.ts';
import { RESOURCES, type Resource } from '../kube/resources.ts';
import { openSqliteStore } from '../store/sqlite-store.ts';
import { runControllers } from './controllers.ts';
import { isDeleting, keyPartsOf } from './metadata.ts';

export interface TestCluster {
  readonly client: KubeClient;
  /** A kubeconfig of the administrator, for kubectl over TLS on loopback. */
  readonly kubeconfig: string;
  /** What the controllers logged as errors; a test that expects none says so. */
  readonly errors: readonly string[];
  /** Resolves with what `look` returns as soon as it is not undefined, judged at every change of the resource. */
  until<T extends KubeObject, R>(
    resource: Resource,
    what: string,
    look: (informer: Informer<T>) => R | undefined,
  ): Promise<R>;
  addNode(name: string): Promise<void>;
  /** Ends all controllers where they are, and starts them anew; resolves when they know the cluster again. */
  restartControllers(): Promise<void>;
  stop(): Promise<void>;
}

export interface TestClusterOptions {
  /** Whether the stand-in makes a pod ready once it has a node; all are unless said. */
  readonly becomesReady?: (pod: Pod) => boolean;
  readonly clock?: Clock;
}

const BOUND_MS = 20_000;

export async function startTestCluster(options: TestClusterOptions = {}): Promise<TestCluster> {
  const folder = await mkdtemp(join(tmpdir(), 'fairlead-controllers-'));
  const errors: string[] = [];
  const log = lineLog(
    (line) => {
      if (line.includes(' error ')) errors.push(line);
    },
    () => new Date(),
  );
  const store = openSqliteStore(join(folder, 'objects.db'));
  const pki = await openPki(join(folder, 'pki'));
  const server = await createApiServer({ store, pki, log });
  const socketPath = join(folder, 'admin.sock');
  await server.listenUnix(socketPath);
  const port = await server.listenTls('127.0.0.1', 0);
  const kubeconfig = join(folder, 'kubeconfig');
  await writeFile(kubeconfig, kubeconfigFor(pki, { server: `https://127.0.0.1:${port}` }), { mode: 0o600 });
  const client = socketClient(socketPath);
  const stop = new AbortController();
  const { signal } = stop;
  const clock = options.clock ?? SYSTEM_CLOCK;
  const podCIDR = Prefix.parse('172.16.0.0/16');
  const start = () => {
    const end = new AbortController();
    return { end, ...runControllers({ client, signal: end.signal, podCIDR, log, clock, rootCa: 'PEM' }) };
  };
  let controllers = start();
  await controllers.synced;
  const kubelet = new KubeletStandIn(client, signal, options.becomesReady ?? (() => true));
  const watching = new Map<Resource, Informer<KubeObject>>();
  return {
    client,
    kubeconfig,
    errors,
    until: (resource, what, look) => {
      const informer = watching.get(resource) ?? createInformer(client, resource, { signal, log });
      watching.set(resource, informer);
      return until(informer, what, look as unknown as (informer: Informer<KubeObject>) => never);
    },
    addNode: async (name) => {
      await client.create<Node>(RESOURCES.nodes, nodeOf(name));
      await client.patch(RESOURCES.nodes, { name }, 'merge', { status: statusOf() }, 'status');
    },
    restartControllers: async () => {
      controllers.end.abort();
      await controllers.ended();
      controllers = start();
      await controllers.synced;
    },
    stop: async () => {
      controllers.end.abort();
      await controllers.ended();
      stop.abort();
      await kubelet.ended();
      await client.close();
      await server.close();
      await store.close();
      await rm(folder, { recursive: true });
    },
  };
}

function until<R>(
  informer: Informer<KubeObject>,
  what: string,
  look: (informer: Informer<KubeObject>) => R | undefined,
): Promise<R> {
  return new Promise((resolve, reject) => {
    let unsubscribe: () => void = () => undefined;
    const timer = setTimeout(() => {
      unsubscribe();
      const held = JSON.stringify(
        [...informer.values()].map(({ metadata, ...rest }) => [keyOf({ metadata: metadata ?? {} }), rest]),
      );
      reject(new Error(`waited ${BOUND_MS} ms for ${what}; there is ${held.slice(0, 4000)}`));
    }, BOUND_MS);
    const judge = () => {
      const found = informer.hasSynced ? look(informer) : undefined;
      if (found === undefined) return;
      clearTimeout(timer);
      unsubscribe();
      resolve(found);
    };
    unsubscribe = informer.subscribe({ added: judge, updated: judge, deleted: judge, synced: judge });
    judge();
  });
}

/** Reports pods with a node as running, and takes away those that are deleted. */
class KubeletStandIn {
  readonly #client: KubeClient;
  readonly #becomesReady: (pod: Pod) => boolean;
  readonly #addresses = new Map<string, string>();
  #last: Promise<void> = Promise.resolve();

  constructor(client: KubeClient, signal: AbortSignal, becomesReady: (pod: Pod) => boolean) {
    this.#client = client;
    this.#becomesReady = becomesReady;
    const see = (pod: Pod) => {
      this.#last = Promise.all([this.#last, signal.aborted ? undefined : this.#see(pod)]).then(
        () => undefined,
      );
    };
    createInformer<Pod>(client, RESOURCES.pods, { signal }).subscribe({ added: see, updated: see });
  }

  ended(): Promise<void> {
    return this.#last;
  }

  async #see(pod: Pod): Promise<void> {
    try {
      if ((pod.spec?.nodeName ?? '') === '') return;
      if (isDeleting(pod))
        await this.#client.delete(RESOURCES.pods, keyPartsOf(pod), { gracePeriodSeconds: 0 });
      else if (pod.status?.podIP === undefined && this.#becomesReady(pod)) await this.#run(pod);
    } catch (error) {
      if (!ApiError.is(error, 'NotFound')) throw error;
    }
  }

  async #run(pod: Pod): Promise<void> {
    const uid = pod.metadata?.uid ?? '';
    const known = this.#addresses.get(uid);
    const number = this.#addresses.size + 1;
    const podIP = known ?? `172.16.${Math.floor(number / 250)}.${(number % 250) + 1}`;
    this.#addresses.set(uid, podIP);
    const lastTransitionTime = new Date().toISOString();
    const conditions = [{ type: 'Ready', status: 'True', lastTransitionTime }];
    const status = { phase: 'Running', podIP, podIPs: [{ ip: podIP }], conditions };
    await this.#client.patch(RESOURCES.pods, keyPartsOf(pod), 'strategic', { status }, 'status');
  }
}

const nodeOf = (name: string): Node => ({
  metadata: {
    name,
    labels: { 'kubernetes.io/hostname': name, 'topology.kubernetes.io/zone': `zone-${name}` },
  },
});

const statusOf = () => ({
  allocatable: { cpu: '8', memory: '8Gi', pods: '110' },
  conditions: [
    {
      type: 'Ready',
      status: 'True',
      reason: 'KubeletReady',
      lastHeartbeatTime: new Date().toISOString(),
      lastTransitionTime: new Date().toISOString(),
    },
  ],
});
