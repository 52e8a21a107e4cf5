/** Where requests come in: who asks, what about, and the one place where errors become answers. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Http2ServerRequest, Http2ServerResponse } from 'node:http2';
import type { Duplex } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import { errorFields, type Log } from '../fault/log.ts';
import type { Pod, Status } from '../kube/objects.ts';
import { RESOURCES } from '../kube/resources.ts';
import { openApiTextAt } from '../kube/schema/openapi.ts';
import { RequestProblem } from '../kube/schema/schema.ts';
import { ADMIN, type Authenticator, type User } from './auth/authenticate.ts';
import type { TokenSigner } from './auth/tokens.ts';
import type { Answer, Call } from './call.ts';
import { AGGREGATED, discoveryAt } from './discovery/discovery.ts';
import { VERSION } from './discovery/version.ts';
import { type ApiRequest, type ApiResponse, headerOf } from './http.ts';
import { negotiate, render } from './negotiate.ts';
import { handleCollection, handleObject, handleReplace, handleStatus } from './object-handlers.ts';
import type { Registry } from './registry/registry.ts';
import { decode } from './registry/stored.ts';
import { type ResourceRoute, routeOf } from './route.ts';
import { badRequest, internal, methodNotAllowed, noSuchPath, StatusError, unauthorized } from './status.ts';
import { type LogResponse, refuseUpgrade, type Streaming, type StreamKind } from './streaming/streaming.ts';
import { handleBinding, handleEviction } from './subresources/pods.ts';
import { handleReview, reviewAt } from './subresources/reviews.ts';
import { handleScale } from './subresources/scale.ts';
import { handleToken } from './subresources/token.ts';

export interface FrontOptions {
  readonly registry: Registry;
  readonly authenticator: Authenticator;
  readonly signer: TokenSigner;
  readonly streaming: Streaming;
  readonly log: Log;
  /** `host:port` at which clients reach this server, for discovery. */
  readonly address: string;
}

/** Whether whoever connects is trusted (the administrator's unix socket) or has to say who it is. */
export type Trust = 'trusted' | 'asked';

const OPEN: ReadonlySet<string> = new Set(['/livez', '/readyz', '/healthz']);
const STREAMS: ReadonlySet<string> = new Set<StreamKind>(['exec', 'attach', 'portforward']);

export class Front {
  readonly #options: FrontOptions;

  constructor(options: FrontOptions) {
    this.#options = options;
  }

  /** Answers a request; never rejects. */
  async serve(
    request: IncomingMessage | Http2ServerRequest,
    response: ServerResponse | Http2ServerResponse,
    trust: Trust,
  ): Promise<void> {
    const out = response as ApiResponse;
    try {
      const answer = await this.#answer(request, response, trust);
      if (answer !== undefined) send(out, answer);
    } catch (error) {
      this.#sendFailure(request, out, error);
    }
  }

  /** An HTTP/1.1 Upgrade: a stream of a pod, or nothing we serve; never rejects. */
  async upgrade(request: IncomingMessage, socket: Duplex, head: Buffer, trust: Trust): Promise<void> {
    try {
      const url = urlOf(request);
      await this.#authenticated(request, trust);
      const route = routeOf(url.pathname);
      if (route === undefined || !isStream(route.subresource)) throw noSuchPath();
      const pod = await this.#pod(route);
      const { streaming } = this.#options;
      await streaming.handleUpgrade(request, socket, head, pod, route.subresource, url.searchParams);
    } catch (error) {
      refuseUpgrade(socket, this.#statusOf(error, request));
    }
  }

  async #answer(
    request: ApiRequest,
    response: ServerResponse | Http2ServerResponse,
    trust: Trust,
  ): Promise<Answer | undefined> {
    const url = urlOf(request);
    const path = url.pathname;
    if (OPEN.has(path)) return { code: 200, body: 'ok', contentType: 'text/plain; charset=utf-8' };
    if (path === '/version') return { code: 200, body: VERSION };
    const user = await this.#authenticated(request, trust);
    const review = reviewAt(path);
    if (review !== undefined) return handleReview(review, request, user);
    const route = routeOf(path);
    if (route === undefined) return this.#described(request, path);
    const { registry } = this.#options;
    const out = response as ApiResponse;
    const call: Call = { request, response: out, route, query: url.searchParams, user, registry };
    const { subresource } = route;
    if (subresource !== 'log' && subresource !== 'proxy') return this.#dispatch(call);
    if (request.method !== 'GET') throw methodNotAllowed();
    if (subresource === 'proxy') return this.#proxied(route, out, url);
    const pod = await this.#pod(route);
    await this.#options.streaming.handleLogs(response as LogResponse, pod, url.searchParams);
    return undefined;
  }

  /** What the kubelet of a node answers to a GET. */
  async #proxied(
    { resource, name = '', below = '/' }: ResourceRoute,
    out: ApiResponse,
    url: URL,
  ): Promise<undefined> {
    // There has to be such a node.
    await this.#options.registry.get({ resource, namespace: undefined, name });
    await this.#options.streaming.handleNodeProxy(out as LogResponse, name, `${below}${url.search}`);
    return undefined;
  }

  /** Discovery and OpenAPI. */
  #described(request: ApiRequest, path: string): Answer {
    const accept = headerOf(request, 'accept');
    const openApi = openApiTextAt(path, accept);
    if (openApi !== undefined) return { code: 200, ...openApi };
    const wanted = negotiate(accept, path === '/api' || path === '/apis' ? AGGREGATED : []);
    const body = discoveryAt(path, wanted, this.#options.address);
    if (body === undefined) throw noSuchPath();
    if (request.method !== 'GET') throw methodNotAllowed();
    if (wanted.as === undefined) return { code: 200, body, wanted };
    const contentType = `application/json;g=apidiscovery.k8s.io;v=${wanted.version};as=${wanted.as}`;
    return { code: 200, body, contentType };
  }

  async #dispatch(call: Call): Promise<Answer | undefined> {
    const { name, subresource } = call.route;
    if (name === undefined) return handleCollection(call);
    switch (subresource) {
      case undefined:
        return handleObject(call);
      case 'status':
        return handleStatus(call);
      case 'finalize':
        if (call.request.method !== 'PUT') throw methodNotAllowed();
        return handleReplace(call, { subresource });
      case 'scale':
        return handleScale(call);
      case 'binding':
        return handleBinding(call);
      case 'eviction':
        return handleEviction(call);
      case 'token':
        return handleToken(call, this.#options.signer);
      default:
        if (isStream(subresource)) throw badRequest('Upgrade request required');
        throw noSuchPath();
    }
  }

  async #pod(route: ResourceRoute): Promise<Pod> {
    if (route.resource.plural !== RESOURCES.pods.plural) throw noSuchPath();
    const { resource, namespace, name = '' } = route;
    return decode(await this.#options.registry.get({ resource, namespace, name })) as unknown as Pod;
  }

  async #authenticated(request: ApiRequest, trust: Trust): Promise<User> {
    if (trust === 'trusted') return ADMIN;
    const connection = 'stream' in request ? (request.stream.session ?? request.socket) : request.socket;
    const authorization = headerOf(request, 'authorization');
    const socket = request.socket as TLSSocket;
    const user = await this.#options.authenticator.authenticate(connection, socket, authorization);
    if (user === undefined) throw unauthorized();
    return user;
  }

  #sendFailure(request: ApiRequest, response: ApiResponse, error: unknown): void {
    const status = this.#statusOf(error, request);
    if (response.headersSent) {
      response.destroy();
      return;
    }
    send(response, { code: status.code ?? 500, body: status });
    // A body that nobody read would hold the connection up.
    request.resume();
  }

  #statusOf(error: unknown, { method, url }: ApiRequest): Status {
    if (error instanceof StatusError) return error.status;
    if (error instanceof RequestProblem) {
      const { code, reason, message, causes } = error;
      const details = causes.length === 0 ? undefined : { causes: [...causes] };
      return new StatusError(code, reason, message, details).status;
    }
    this.#options.log.error('a request failed', { method, url, ...errorFields(error) });
    return internal(error instanceof Error ? error.message : String(error)).status;
  }
}

const isStream = (subresource: string | undefined): subresource is StreamKind =>
  subresource !== undefined && STREAMS.has(subresource);

/** Throws BadRequest for what is no path. */
function urlOf({ url = '/' }: ApiRequest): URL {
  const parsed = URL.parse(url, 'http://localhost');
  if (parsed === null) throw badRequest('the request has no valid path');
  return parsed;
}

function send(response: ApiResponse, { code, body, wanted, contentType, warnings = [] }: Answer): void {
  const [text, media] =
    contentType === undefined ? render(body, wanted ?? { format: 'json' }) : [asBytes(body), contentType];
  response.writeHead(code, {
    'content-type': media,
    'cache-control': 'no-cache, private',
    ...(warnings.length === 0 ? {} : { warning: warnings.map(warningOf) }),
    ...(code === 401 ? { 'www-authenticate': 'Bearer' } : {}),
  });
  response.end(text);
}

/** RFC 7234, 5.5: code 299, no agent, the text quoted; what a header cannot carry (RFC 9110, 5.5) is escaped. */
function warningOf(text: string): string {
  const escaped = JSON.stringify(text).replace(
    /[^ -~]/g,
    (one) => `\\u${one.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
  return `299 - ${escaped}`;
}

function asBytes(body: string | object): string | Uint8Array {
  return typeof body === 'string' || body instanceof Uint8Array ? body : JSON.stringify(body);
}
