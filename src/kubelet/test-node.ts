/** One node with its agent, in a cage, against the real API server in this process: what the tests of this folder stand on. */
import { chmodSync, closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ApiServer, createApiServer, openPki } from '../apiserver/api-server.ts';
import type { Informer } from '../client/client.ts';
import { type HttpKubeClient, socketClient } from '../client/http-client.ts';
import { createInformer } from '../client/informer.ts';
import type { Ending, Exec, Running } from '../exec/exec.ts';
import { lineLog } from '../fault/log.ts';
import type { ConfigMap, Event, KubeObject, Pod, PodSpec, ServiceAccount } from '../kube/objects.ts';
import { RESOURCES } from '../kube/resources.ts';
import { type Cage, type CageOptions, openCage } from '../lab/cage.ts';
import { nodeNetworkConfig } from '../lab/node-network.ts';
import { realise } from '../lab/realise.ts';
import { openSqliteStore } from '../store/sqlite-store.ts';
import type { ObjectStore } from '../store/store.ts';
import { buildCluster } from '../world/build.ts';
import { defaultNodes } from '../world/facts.ts';
import { profileOf } from '../world/profile.ts';
import { hostOf } from '../world/world.ts';

const FIXTURE = new URL('./kubelet-fixture.ts', import.meta.url).pathname;
export const NODE = 'n1';

const NOBODY = {
  name: 'nobody',
  prefix: ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', '--'],
};

/** Root, and an unprivileged user in namespaces of its own; without root, whoever runs the tests. */
export const USERS: readonly { name: string; options: CageOptions }[] =
  process.getuid?.() === 0
    ? [
        { name: 'root', options: { privilege: 'root' } },
        { name: 'nobody', options: { privilege: 'user', from: NOBODY } },
      ]
    : [{ name: 'the caller', options: { privilege: 'user' } }];

interface Parts {
  readonly dir: string;
  readonly cage: Cage;
  readonly server: ApiServer;
  readonly store: ObjectStore;
  readonly netns: string;
  readonly fixture: string;
}

export class TestNode {
  readonly client: HttpKubeClient;
  readonly #parts: Parts;
  readonly #pods: Informer<Pod>;
  readonly #events: Informer<Event>;
  #agent: Running | undefined;

  private constructor(parts: Parts) {
    this.#parts = parts;
    this.client = socketClient(join(parts.dir, 'admin.sock'));
    const log = lineLog(
      () => undefined,
      () => new Date(),
    );
    this.#pods = createInformer<Pod>(this.client, RESOURCES.pods, { log });
    this.#events = createInformer<Event>(this.client, RESOURCES.events, { log });
  }

  static async open(options: CageOptions): Promise<TestNode> {
    const dir = mkdtempSync(join(tmpdir(), 'fairlead-node-'));
    chmodSync(dir, 0o755);
    const store = openSqliteStore(join(dir, 'objects.db'));
    const log = lineLog(
      () => undefined,
      () => new Date(),
    );
    const server = await createApiServer({ store, pki: await openPki(join(dir, 'pki')), log });
    await server.listenUnix(join(dir, 'admin.sock'));
    // The agent may be another user's process.
    chmodSync(join(dir, 'admin.sock'), 0o666);
    const cage = await openCage(options);
    const profile = profileOf({ network: 'tunnel' });
    const nodes = defaultNodes(profile, 1);
    const world = buildCluster({ profile, nodes, pods: [] });
    await realise(world, cage);
    const [facts] = nodes;
    if (facts === undefined) throw new Error('a cluster has a node');
    const fixture = JSON.stringify({
      admin: join(dir, 'admin.sock'),
      node: nodeNetworkConfig(profile, facts),
      runtimeDir: `/run/fairlead/kubelet-${NODE}`,
      socketPath: `/run/fairlead/kubelet-${NODE}.sock`,
    });
    const node = new TestNode({ dir, cage, server, store, netns: hostOf(world, NODE).netns, fixture });
    await node.#makeNamespace();
    await node.startAgent();
    return node;
  }

  async #makeNamespace(): Promise<void> {
    const metadata = { namespace: 'default' };
    const account: ServiceAccount = { metadata: { ...metadata, name: 'default' } };
    await this.client.create<ServiceAccount>(
      RESOURCES.serviceaccounts,
      { ...typed('ServiceAccount'), ...account },
      'default',
    );
    const ca: ConfigMap = { metadata: { ...metadata, name: 'kube-root-ca.crt' }, data: { 'ca.crt': 'CA' } };
    await this.client.create<ConfigMap>(RESOURCES.configmaps, { ...typed('ConfigMap'), ...ca }, 'default');
  }

  async startAgent(): Promise<void> {
    const log = openSync(join(this.#parts.dir, 'kubelet.log'), 'a');
    this.#agent = await this.at().start(process.execPath, [FIXTURE, this.#parts.fixture], {
      stdout: log,
      stderr: log,
    });
    closeSync(log);
  }

  async endAgent(signal: 'SIGTERM' | 'SIGKILL'): Promise<Ending | undefined> {
    this.#agent?.kill(signal);
    return this.#agent?.ended;
  }

  /** Commands in the node's network namespace, or in another of the cage. */
  at(netns: string = this.#parts.netns): Exec {
    return this.#parts.cage.exec(netns);
  }

  /** The agent's socket as seen from here. */
  get socketPath(): string {
    return `${this.#parts.cage.root}/run/fairlead/kubelet-${NODE}.sock`;
  }

  /** The agent's runtime folder as seen from here. */
  get runtimeDir(): string {
    return `${this.#parts.cage.root}/run/fairlead/kubelet-${NODE}`;
  }

  async run(name: string, spec: PodSpec, metadata: Pod['metadata'] = {}): Promise<void> {
    const pod: Pod = {
      ...typed('Pod'),
      metadata: { ...metadata, name, namespace: 'default' },
      spec: { nodeName: NODE, ...spec },
    };
    await this.client.create<Pod>(RESOURCES.pods, pod, 'default');
  }

  get(name: string): Pod | undefined {
    return this.#pods.get(`default/${name}`);
  }

  async delete(name: string): Promise<void> {
    await this.client.delete(RESOURCES.pods, { name, namespace: 'default' });
  }

  /** Resolves with the pod once it is as wanted; undefined stands for a pod that is gone. */
  async until(
    name: string,
    wanted: (pod: Pod | undefined) => boolean,
    what: string,
    boundMs = 15_000,
  ): Promise<Pod | undefined> {
    const describe = () => `${name} ${what}: ${JSON.stringify(this.get(name)?.status)}`;
    await this.#change(this.#pods, () => wanted(this.get(name)), describe, boundMs);
    return this.get(name);
  }

  /** `reason: message` of the Events about a pod, in the order they were told, once there is one that matches. */
  async told(name: string, wanted: RegExp, boundMs = 5000): Promise<string[]> {
    const lines = () =>
      [...this.#events.values()]
        .filter((one) => one.involvedObject.name === name)
        .map((one) => `${one.reason}: ${one.message}`);
    const describe = () => `${name} to tell ${wanted}: ${lines().join('; ')}`;
    await this.#change(this.#events, () => lines().some((line) => wanted.test(line)), describe, boundMs);
    return lines();
  }

  #change<T extends KubeObject>(
    informer: Informer<T>,
    holds: () => boolean,
    describe: () => string,
    boundMs: number,
  ): Promise<void> {
    return new Promise((resolve, reject) => {
      let stop: (() => void) | undefined;
      const end = () => {
        clearTimeout(timer);
        stop?.();
      };
      const look = () => {
        if (!informer.hasSynced || !holds()) return;
        end();
        resolve();
      };
      const timer = setTimeout(() => {
        end();
        const log = readFileSync(join(this.#parts.dir, 'kubelet.log'), 'utf8');
        reject(new Error(`waited ${boundMs} ms for ${describe()}\n${log}`));
      }, boundMs);
      stop = informer.subscribe({ added: look, updated: look, deleted: look, synced: look });
      look();
    });
  }

  async ready(name: string, boundMs?: number): Promise<Pod> {
    const pod = await this.until(name, isReady, 'to be ready', boundMs);
    if (pod === undefined) throw new Error(`${name} is gone`);
    return pod;
  }

  async close(): Promise<void> {
    const { cage, dir, server, store } = this.#parts;
    this.#pods.stop();
    this.#events.stop();
    await cage.close();
    await this.client.close();
    await server.close();
    await store.close();
    rmSync(dir, { recursive: true, force: true });
  }
}

export const isReady = (pod: Pod | undefined): boolean =>
  (pod?.status?.conditions ?? []).some((one) => one.type === 'Ready' && one.status === 'True');

const typed = <K extends string>(kind: K) => ({ apiVersion: 'v1' as const, kind });
