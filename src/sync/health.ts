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
  readonly healthCheckHost: string | undefined;
}

/** The cluster autoscaler's mark on a node it is about to delete; balancers should drain it (KEP-3836). */
const TO_BE_DELETED = 'ToBeDeletedByClusterAutoscaler';

/** The proxy's own health and metrics, and for each Service with a healthCheckNodePort the answer its balancer asks for. */
export class HealthServers {
  readonly #parts: HealthParts;
  readonly #servers: Server[] = [];
  readonly #checks = new Map<string, { readonly server: Server; check: HealthCheck }>();
  #lastSync: number | undefined;
  #eligible = true;

  constructor(parts: HealthParts) {
    this.#parts = parts;
  }

  /** The ports listened on. Throws {@link Fault} FE005 where one is taken. */
  async listen(at: {
    readonly health?: ListenAt;
    readonly metrics?: ListenAt;
    readonly mode: ProxyMode;
  }): Promise<{ health?: number; metrics?: number }> {
    const { registry } = this.#parts.metrics;
    const health = at.health && (await this.#serve(at.health, (request) => this.#health(request)));
    const metrics =
      at.metrics &&
      (await this.#serve(at.metrics, async (request) => {
        if (request.url === '/metrics') return { body: await registry.metrics(), type: registry.contentType };
        return request.url === '/proxyMode' ? { body: at.mode } : { code: 404, body: 'not found' };
      }));
    return { ...(health === undefined ? {} : { health }), ...(metrics === undefined ? {} : { metrics }) };
  }

  nodeIs(node: Node | undefined): void {
    const doomed = node?.spec?.taints?.some((taint) => taint.key === TO_BE_DELETED) ?? false;
    this.#eligible = node?.metadata?.deletionTimestamp === undefined && !doomed;
  }

  /** Rules are in force; `changes` are the Services whose plan is new. */
  synced(
    plans: Iterable<ServicePlan>,
    changes: readonly { readonly name: string; readonly plan: ServicePlan | undefined }[],
  ): void {
    this.#lastSync = this.#parts.clock.now();
    for (const { name, plan } of changes) this.#check(name, plan?.healthCheck);
    let [internal, external] = [0, 0];
    for (const { ports } of plans) {
      const stuck = ports.filter((port) => port.anyEndpoints && port.local.length === 0);
      if (stuck.some((port) => port.internal === 'Local')) internal++;
      if (stuck.some((port) => port.external === 'Local')) external++;
    }
    this.#parts.metrics.noLocalEndpoints('internal', internal);
    this.#parts.metrics.noLocalEndpoints('external', external);
  }

  async close(): Promise<void> {
    const servers = [...this.#servers, ...Array.from(this.#checks.values(), (one) => one.server)];
    this.#checks.clear();
    await Promise.all(servers.map(closed));
  }

  #health(request: IncomingMessage): Answer {
    const { clock, metrics } = this.#parts;
    const path = request.url === '/livez' ? 'livez' : 'healthz';
    if (request.url !== '/livez' && request.url !== '/healthz' && request.url !== '/readyz') {
      return { code: 404, body: 'not found' };
    }
    const ok = this.#lastSync !== undefined && (path === 'livez' || this.#eligible);
    const code = ok ? 200 : 503;
    metrics.answered(path, code);
    const body = {
      lastUpdated: this.#lastSync === undefined ? null : new Date(this.#lastSync).toISOString(),
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
      standing.server.close();
    }
    if (check !== undefined) this.#open(service, check);
  }

  #open(service: string, check: HealthCheck): void {
    const server = createServer(({ socket }, response) => {
      const localEndpoints = this.#checks.get(service)?.check.localEndpoints[familyAt(socket)] ?? 0;
      const [namespace, name] = service.split('/');
      const body = { service: { namespace, name }, localEndpoints, serviceProxyHealthy: true };
      answer(response, {
        code: localEndpoints > 0 ? 200 : 503,
        body: JSON.stringify(body),
        type: 'application/json',
        headers: { 'X-Load-Balancing-Endpoint-Weight': String(localEndpoints) },
      });
    });
    server.on('error', (error) =>
      this.#parts.log.warn(`healthCheckNodePort ${check.port} cannot be served`, {
        service,
        ...errorFields(error),
      }),
    );
    server.listen({ port: check.port, host: this.#parts.healthCheckHost });
    this.#checks.set(service, { server, check });
  }

  async #serve(
    at: ListenAt,
    respond: (request: IncomingMessage) => Answer | Promise<Answer>,
  ): Promise<number> {
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
  response.writeHead(code, { ...headers, 'content-type': type, 'content-length': length }).end(body);
}

function closed(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}
