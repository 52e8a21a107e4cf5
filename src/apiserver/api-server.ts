/**
 * The Kubernetes API over an {@link ObjectStore}.
 *
 * Promises: kubectl from 1.28 to 1.33 and client libraries work against it; refusals carry upstream's HTTP status, reason,
 * details and wording; a write is answered when it is durable; watches miss nothing.
 * Refuses: whoever is not known (beyond /livez, /readyz, /healthz and /version). Whoever is known may do everything: there is no
 * authorization by role, and no server-side apply (PATCH with application/apply-patch+yaml answers 415).
 *
 * Reads on: a request comes in by listeners.ts, front.ts tells who asks and dispatches, object-handlers.ts and subresources/
 * serve it, registry/ holds the rules of objects, services/ the cluster IPs and node ports.
 *
 * @example
 * const store = openSqliteStore('/var/lib/fairlead/objects.db');
 * const pki = await openPki('/var/lib/fairlead/pki');
 * const server = await createApiServer({ store, pki, log, serviceCIDRs: [Prefix.parse('10.247.0.0/16')] });
 * await server.listenTls('192.168.0.127', 5444);
 * await server.listenUnix('/run/fairlead/admin.sock');
 * kubeconfigFor(pki, { server: 'https://127.0.0.1:6443' });
 */
import type { Log } from '../fault/log.ts';
import { Prefix } from '../ip/prefix.ts';
import type { ObjectStore } from '../store/store.ts';
import { Authenticator } from './auth/authenticate.ts';
import type { Pki } from './auth/pki.ts';
import { TokenSigner } from './auth/tokens.ts';
import { type Advertised, bootstrap, keepAdvertised } from './bootstrap.ts';
import { expireEvents } from './event-expiry.ts';
import { Front } from './front.ts';
import { type Listener, listenTls, listenUnix } from './listeners.ts';
import { Registry } from './registry/registry.ts';
import type { PortRange } from './services/pools.ts';
import { ServiceAllocator } from './services/service-allocator.ts';
import { createStreaming, type Streaming } from './streaming/streaming.ts';
import { isStillBound } from './subresources/token.ts';

export { kubeconfigFor } from './auth/kubeconfig.ts';
export { DEFAULT_SERVING_NAMES, openPki, type Pki } from './auth/pki.ts';

export interface ApiServerOptions {
  /** Stays the caller's, who closes it after the server. */
  readonly store: ObjectStore;
  readonly pki: Pki;
  readonly log: Log;
  /** Where cluster IPs come from, the default family first; 10.247.0.0/16 unless given. */
  readonly serviceCIDRs?: readonly Prefix[];
  /** 30000 to 32767 unless given. */
  readonly nodePortRange?: PortRange;
  /** Where the `kubernetes` Service leads; 192.168.0.127:5444 unless given. */
  readonly advertised?: Advertised;
  readonly clock?: { now(): number };
  readonly streaming?: Streaming;
}

export interface ApiServer {
  /** Port 0 takes a free one; the port is returned. Throws Fault FE005. */
  listenTls(host: string, port: number): Promise<number>;
  /** TLS on a unix socket, for whoever relays raw bytes. */
  listenTlsUnix(path: string): Promise<void>;
  /** Plain HTTP/1.1, trusted as the administrator; the socket's mode is 0600. */
  listenUnix(path: string): Promise<void>;
  /** Ends every connection. */
  close(): Promise<void>;
}

/** Starts serving once something is listened to; the cluster's namespaces and `kubernetes` Service exist by then. */
export async function createApiServer(options: ApiServerOptions): Promise<ApiServer> {
  const { store, pki, log } = options;
  const now = () => (options.clock ?? Date).now();
  const ranges = options.serviceCIDRs ?? [Prefix.parse('10.247.0.0/16')];
  const advertised = options.advertised ?? { address: '192.168.0.127', port: 5444 };
  const nodePorts = options.nodePortRange ?? { from: 30_000, to: 32_767 };
  const services = new ServiceAllocator({ ranges, nodePorts });
  const registry = new Registry({ store, services, now });
  await bootstrap(registry, ranges, advertised, log);

  const signer = new TokenSigner(pki.tokenKey);
  const authenticator = new Authenticator(
    pki.adminToken,
    signer,
    (claims) => isStillBound(registry, claims),
    now,
  );
  const streaming =
    options.streaming ??
    createStreaming({
      kubeletSocket: (node) => `/run/fairlead/kubelet-${node}.sock`,
      now: () => new Date(now()),
    });
  const address = `${advertised.address}:${advertised.port}`;
  const front = new Front({ registry, authenticator, signer, streaming, log, address });
  const stops = [expireEvents(registry, log), keepAdvertised(registry, ranges, advertised, log)];
  return serving(front, pki, stops);
}

function serving(front: Front, pki: Pki, stops: readonly (() => void)[]): ApiServer {
  const listeners: Listener[] = [];
  const opened = async (opening: Promise<Listener>): Promise<Listener> => {
    const listener = await opening;
    listeners.push(listener);
    return listener;
  };
  return {
    listenTls: async (host, port) => (await opened(listenTls(front, pki, { host, port }))).port ?? port,
    listenTlsUnix: async (path) => void (await opened(listenTls(front, pki, { path }))),
    listenUnix: async (path) => void (await opened(listenUnix(front, path))),
    close: async () => {
      for (const stop of stops) stop();
      await Promise.all(listeners.map((listener) => listener.close()));
    },
  };
}
