/**
 * Cluster DNS: names and addresses of Services, endpoints and pods, from what the API server tells.
 *
 * Promises: the records of the Kubernetes DNS specification 1.1.0 (A, AAAA, SRV, PTR, CNAME, dns-version) with a TTL of 5 s;
 * NXDOMAIN apart from NODATA, each with the SOA; SERVFAIL rather than a guess before the first lists are in; UDP and TCP,
 * EDNS0, and TC where an answer does not fit. /health, /ready and /metrics are CoreDNS's.
 * Refuses: other names (REFUSED), unless there are servers to forward to; zone transfers, updates and DNSSEC.
 *
 * @example
 * await runDns({
 *   client: await inClusterClient(),
 *   zone: 'cluster.local',
 *   listen: DEFAULT_LISTEN,
 *   forward: [parseUpstream('192.168.0.1')],
 *   signal,
 * });
 */
import type { RequestListener } from 'node:http';
import type { KubeClient } from '../client/client.ts';
import { aborted } from '../client/clock.ts';
import { errorFields, type Log, lineLog } from '../fault/log.ts';
import type { Endpoint } from '../ip/ip.ts';
import type { Reply } from './answer.ts';
import { Forwarder } from './forward.ts';
import { DnsMetrics } from './metrics.ts';
import { type Random, resolve } from './resolver.ts';
import { type Client, type Listener, listenDns, listenHttp, type Respond } from './server.ts';
import { encodeReply, MAX_TCP_BYTES, type Query, takeQuery } from './wire.ts';
import { Zone } from './zone.ts';
import { keepZone } from './zone-keeper.ts';

export { parseUpstream } from './forward.ts';

/** Where to listen; a port 0 finds a free one. */
export interface Listen {
  /** For DNS and HTTP alike. */
  readonly address: string;
  readonly port: number;
  readonly healthPort: number;
  readonly readyPort: number;
  readonly metricsPort: number;
}

/** CoreDNS's ports, on all addresses. */
export const DEFAULT_LISTEN: Listen = {
  address: '0.0.0.0',
  port: 53,
  healthPort: 8080,
  readyPort: 8181,
  metricsPort: 9153,
};

export interface DnsOptions {
  readonly client: KubeClient;
  /** E.g. `cluster.local`. */
  readonly zone: string;
  readonly listen: Listen;
  /** Servers for other names, asked in order; none: other names are refused. */
  readonly forward?: readonly Endpoint[];
  readonly signal?: AbortSignal;
  readonly log?: Log;
  /** Milliseconds. */
  readonly now?: () => number;
  readonly random?: Random;
}

/** A running DNS server, and where it listens. */
export interface Dns {
  readonly ports: Omit<Listen, 'address'>;
  /** The first lists are in. */
  readonly synced: Promise<void>;
  close(): Promise<void>;
}

/** Serves until the signal aborts. Throws Fault FE005 if it cannot listen. */
export async function runDns(options: DnsOptions & { readonly signal: AbortSignal }): Promise<void> {
  const dns = await startDns(options);
  await aborted(options.signal);
  await dns.close();
}

/** Resolves when it listens, which is before it has synced. Throws Fault FE005. */
export async function startDns(options: DnsOptions): Promise<Dns> {
  const { listen } = options;
  const now = options.now ?? (() => Date.now());
  const log =
    options.log ??
    lineLog(
      (line) => process.stderr.write(line),
      () => new Date(now()),
      { component: 'dns' },
    );
  const zone = new Zone(options.zone);
  const metrics = new DnsMetrics(`dns://:${listen.port}`, zone.domain, () => zone.isSynced);
  const respond = responder(zone, metrics, options, now, log);
  const keeper = keepZone(zone, options.client, now, log);
  const listeners: Listener[] = [];
  const close = async () => {
    keeper.stop();
    await Promise.all(listeners.map((listener) => listener.close()));
  };
  const start = async (listener: Promise<Listener>): Promise<number> => {
    listeners.push(await listener);
    return listeners.at(-1)?.port ?? 0;
  };
  try {
    const { address } = listen;
    const port = await start(listenDns(address, listen.port, respond));
    const healthPort = await start(
      listenHttp(
        address,
        listen.healthPort,
        probe('/health', () => true),
      ),
    );
    const readyPort = await start(
      listenHttp(
        address,
        listen.readyPort,
        probe('/ready', () => zone.isSynced),
      ),
    );
    const metricsPort = await start(listenHttp(address, listen.metricsPort, metricsPage(metrics)));
    log.info('listening', { address, port, zone: zone.domain, forward: options.forward?.length ?? 0 });
    return { ports: { port, healthPort, readyPort, metricsPort }, synced: keeper.synced, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** From a message to the bytes of its answer; at once unless others have to be asked. */
function responder(
  zone: Zone,
  metrics: DnsMetrics,
  options: DnsOptions,
  now: () => number,
  log: Log,
): Respond {
  const upstreams = options.forward ?? [];
  const forwarder = new Forwarder(upstreams, now, (hit) => metrics.looked(hit));
  const ask = upstreams.length === 0 ? undefined : forwarder.resolve.bind(forwarder);
  const random = options.random ?? Math.random;
  const bytesOf = (query: Query, reply: Reply, client: Client, since: number): Buffer => {
    const limit = client.protocol === 'tcp' ? MAX_TCP_BYTES : query.udpBytes;
    const bytes = encodeReply(query, reply, limit, ask !== undefined);
    const seconds = (performance.now() - since) / 1000;
    const { rcode, authoritative: isOwn } = reply;
    metrics.served({ ...client, type: query.question.type, rcode, seconds, bytes: bytes.length, isOwn });
    return bytes;
  };
  // What cannot be answered for a defect of ours, or of another server's answer, fails this question and no other.
  const failed = (query: Query, client: Client, since: number, error: unknown): Buffer => {
    log.error('a question could not be answered', { name: query.question.name, ...errorFields(error) });
    return bytesOf(query, FAILED, client, since);
  };
  return (message, client) => {
    const taken = takeQuery(message);
    if (taken === undefined || 'refusal' in taken) return taken?.refusal;
    const { query } = taken;
    const since = performance.now();
    try {
      const reply = resolve(zone, query.question, random, ask);
      if (!(reply instanceof Promise)) return bytesOf(query, reply, client, since);
      return reply
        .then((told) => bytesOf(query, told, client, since))
        .catch((error) => failed(query, client, since, error));
    } catch (error) {
      return failed(query, client, since, error);
    }
  };
}

const FAILED: Reply = {
  rcode: 'SERVFAIL',
  authoritative: false,
  answers: [],
  authorities: [],
  additionals: [],
};

function probe(path: string, isWell: () => boolean): RequestListener {
  return (request, response) => {
    if (request.url !== path) response.writeHead(404).end();
    else if (isWell()) response.writeHead(200, { 'content-type': 'text/plain' }).end('OK');
    else response.writeHead(503, { 'content-type': 'text/plain' }).end('kubernetes');
  };
}

function metricsPage(metrics: DnsMetrics): RequestListener {
  return (request, response) => {
    if (request.url !== '/metrics') {
      response.writeHead(404).end();
      return;
    }
    metrics.registry.metrics().then(
      (page) => response.writeHead(200, { 'content-type': metrics.registry.contentType }).end(page),
      (error) => response.writeHead(500).end(String(error)),
    );
  };
}
