import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { Clock } from '../client/clock.ts';
import { Fault } from '../fault/fault.ts';
import { errorFields, type Log } from '../fault/log.ts';
import type { Family } from '../ip/ip.ts';
import type { Node } from '../kube/objects.ts';
import type { HealthCheck, ProxyMode, ServicePlan } from '../proxy/proxy.ts';
import type { ProxyMetrics } from './metrics.ts';

/** Port 0 takes a free one. */
export interface ListenAt {
  readonly host: string;
  readonly port: number;
}

interface HealthParts {
  readonly clock: Clock;
  readonly metrics: ProxyMetrics;
  readonly log: Log;
  /** The addresses healthCheckNodePort servers listen on; every one if there is none to say, or it says undefined. */
  readonly healthCheckHosts?: () => readonly string[] | undefined;
  /** How long a change may be on its way into the kernel. */
  readonly lateMs: number;
}

/** The cluster autoscaler's mark on a node it is about to delete; balancers should drain it (KEP-3836). */
const TO_BE_DELETED = 'ToBeDeletedByClusterAutoscaler';

const POLICIES = ['internal', 'external'] as const;

/** How long until a port that was taken is tried again. */
const RETRY_MS = 5000;

/**
 * The proxy's own health and metrics, and for each Service with a healthCheckNodePort the answer its balancer asks for.
 *
 * Healthy means that rules have been in force once and no change waits for longer than its time. /livez tells of that
 * alone, as a node that is about to go needs no new proxy; /healthz fails on such a node, too, so that balancers drain it.
 */
export class HealthServers {
  readonly #parts: HealthParts;
  readonly #servers: Server[] = [];
  readonly #checks = new Map<string, { readonly servers: readonly Server[]; check: HealthCheck }>();
  /** The Services that have endpoints, and none here, under policy Local: by name, in which families. */
  readonly #stuck = {
    internal: new Map<string, readonly Family[]>(),
    external: new Map<string, readonly Family[]>(),
  };
  #lastSync: number | undefined;
  /** When the oldest change came that waits for its transaction, and the oldest of the one under way. */
  #waiting: number | undefined;
  #underWay: number | undefined;
  #eligible = true;
  #closed = false;
  readonly #retries: (() => void)[] = [];

  constructor(parts: HealthParts) {
    this.#parts = parts;
  }

  /** The ports listened on. Throws {@link Fault} FE005 where one is taken; with `retries`, tries again for ever. */
  async listen(at: {
    readonly health?: ListenAt;
    readonly metrics?: ListenAt;
    readonly retries?: boolean;
    readonly mode: ProxyMode;
  }): Promise<{ health?: number; metrics?: number }> {
    const { registry } = this.#parts.metrics;
    const serve = at.retries ? this.#serveSomeTime : this.#serve;
    const health = at.health && (await serve.call(this, at.health, (request) => this.#health(request)));
    const metrics =
      at.metrics &&
      (await serve.call(this, at.metrics, async (request) => {
        if (request.url === '/metrics') return { body: await registry.metrics(), type: registry.contentType };
        return request.url === '/proxyMode' ? { body: at.mode } : { code: 404, body: 'not found' };
      }));
    return { ...(health === undefined ? {} : { health }), ...(metrics === undefined ? {} : { metrics }) };
  }

  nodeIs(node: Node | undefined): void {
    const doomed = node?.spec?.taints?.some((taint) => taint.key === TO_BE_DELETED) ?? false;
    this.#eligible = node?.metadata?.deletionTimestamp === undefined && !doomed;
  }

  /** Something has changed that the kernel does not have. */
  queued(): void {
    this.#waiting ??= this.#parts.clock.now();
  }

  /** What has been queued is on its way. */
  began(): void {
    this.#underWay ??= this.#waiting;
    this.#waiting = undefined;
  }

  /** What was on its way is in force; `changes` are the Services whose plan is new. */
  synced(changes: readonly { readonly name: string; readonly plan: ServicePlan | undefined }[]): void {
    this.#lastSync = this.#parts.clock.now();
    this.#underWay = undefined;
    for (const { name, plan } of changes) {
      this.#check(name, plan?.healthCheck);
      const stuck = plan?.ports.filter((port) => port.anyEndpoints && port.local.length === 0) ?? [];
      for (const policy of POLICIES) {
        const families = stuck.filter((port) => port[policy] === 'Local').map(({ family }) => family);
        if (families.length === 0) this.#stuck[policy].delete(name);
        else this.#stuck[policy].set(name, families);
      }
    }
    for (const policy of POLICIES) {
      const all = [...this.#stuck[policy].values()];
      for (const family of [4, 6] as const) {
        const services = all.filter((families) => families.includes(family)).length;
        this.#parts.metrics.noLocalEndpoints(policy, family, services);
      }
    }
  }

  get #healthy(): boolean {
    const { clock, lateMs } = this.#parts;
    const oldest = this.#underWay ?? this.#waiting;
    return this.#lastSync !== undefined && (oldest === undefined || clock.now() - oldest < lateMs);
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const cancel of this.#retries) cancel();
    const servers = [...this.#servers, ...[...this.#checks.values()].flatMap((one) => one.servers)];
    this.#checks.clear();
    await Promise.all(servers.map(closed));
  }

  #health(request: IncomingMessage): Answer {
    const { clock, metrics } = this.#parts;
    const path = request.url === '/livez' ? 'livez' : 'healthz';
    if (request.url !== '/livez' && request.url !== '/healthz' && request.url !== '/readyz') {
      return { code: 404, body: 'not found' };
    }
    const ok = this.#healthy && (path === 'livez' || this.#eligible);
    const code = ok ? 200 : 503;
    metrics.answered(path, code);
    // kube-proxy says "now" while all is well, whenever it last had something to do.
    const updated = ok ? clock.now() : this.#lastSync;
    const body = {
      lastUpdated: updated === undefined ? null : new Date(updated).toISOString(),
      currentTime: new Date(clock.now()).toISOString(),
      ...(path === 'healthz' ? { nodeEligible: this.#eligible } : {}),
    };
    return { code, body: JSON.stringify(body), type: 'application/json' };
  }

  #check(service: string, check: HealthCheck | undefined): void {
    const standing = this.#checks.get(service);
    if (standing !== undefined && standing.check.port === check?.port) {
      standing.check = check;
      return;
    }
    if (standing !== undefined) {
      this.#checks.delete(service);
      for (const server of standing.servers) server.close();
    }
    if (check !== undefined) this.#open(service, check);
  }

  #open(service: string, check: HealthCheck): void {
    const hosts = this.#parts.healthCheckHosts?.() ?? [undefined];
    const servers = hosts.map((host) => this.#checkServer(service, check, host));
    this.#checks.set(service, { servers, check });
  }

  #checkServer(service: string, check: HealthCheck, host: string | undefined): Server {
    const server = createServer(({ socket }, response) => {
      const localEndpoints = this.#checks.get(service)?.check.localEndpoints[familyAt(socket)] ?? 0;
      const [namespace, name] = service.split('/');
      const healthy = this.#healthy;
      const body = { service: { namespace, name }, localEndpoints, serviceProxyHealthy: healthy };
      answer(response, {
        code: localEndpoints > 0 && healthy ? 200 : 503,
        body: JSON.stringify(body),
        type: 'application/json',
        headers: { 'X-Load-Balancing-Endpoint-Weight': String(localEndpoints) },
      });
    });
    server.on('error', (error) =>
      this.#parts.log.warn(`healthCheckNodePort ${check.port} cannot be served`, {
        service,
        ...(host === undefined ? {} : { host }),
        ...errorFields(error),
      }),
    );
    // Beside others, the unspecified address of IPv6 is not that of IPv4, too.
    return server.listen({ port: check.port, host, ipv6Only: host === '::' });
  }

  /** Serves the port now or, where it is taken, as soon as it is free; no port is told then. */
  async #serveSomeTime(at: ListenAt, respond: Respond): Promise<number | undefined> {
    const { clock, log } = this.#parts;
    try {
      return await this.#serve(at, respond);
    } catch (error) {
      if (this.#closed) return undefined;
      log.error('a server does not listen yet; trying again', errorFields(error));
      this.#retries.push(clock.after(RETRY_MS, () => void this.#serveSomeTime(at, respond)));
      return undefined;
    }
  }

  async #serve(at: ListenAt, respond: Respond): Promise<number | undefined> {
    const server = createServer(async (request, response) => {
      try {
        answer(response, await respond(request));
      } catch (error) {
        this.#parts.log.error('a health request failed', errorFields(error));
        answer(response, { code: 500, body: 'failed' });
      }
    });
    await new Promise<void>((resolve, reject) => {
      server.once('listening', resolve);
      server.once('error', (error) => {
        const message = `${at.host}:${at.port} cannot be listened on: ${error.message}`;
        reject(new Fault('FE005', message, 'end its holder or choose another port', { cause: error }));
      });
      server.listen(at.port, at.host);
    });
    this.#servers.push(server);
    return (server.address() as AddressInfo).port;
  }
}

/** The family that was asked in; IPv4 comes to a socket of both as IPv6 (RFC 4291, 2.5.5.2). */
function familyAt({ localAddress = '' }: Socket): Family {
  return localAddress.includes('.') ? 4 : 6;
}

type Respond = (request: IncomingMessage) => Answer | Promise<Answer>;

interface Answer {
  readonly code?: number;
  readonly body: string;
  readonly type?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

function answer(
  response: ServerResponse,
  { code = 200, body, type = 'text/plain', headers = {} }: Answer,
): void {
  const length = String(Buffer.byteLength(body));
  const always = { 'content-type': type, 'content-length': length, 'x-content-type-options': 'nosniff' };
  response.writeHead(code, { ...headers, ...always }).end(body);
}

function closed(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}
