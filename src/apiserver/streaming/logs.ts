/**
 * Logs, and whatever else a kubelet tells: a GET whose answer is passed on as it comes.
 */
import type { OutgoingHttpHeaders } from 'node:http';
import type { Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Pod } from '../../kube/objects.ts';
import { RESOURCES } from '../../kube/resources.ts';
import { type FieldError, forbidden, invalid, toStatus } from '../../kube/validation/field-error.ts';
import { StatusError } from '../status.ts';
import { getFromKubelet } from './kubelet.ts';
import { statusOf } from './refusal.ts';
import { containerOf, isTrue, pathOfPod } from './target.ts';

/** What is needed of a response: both node:http and node:http2 have it. */
export type LogResponse = Writable & {
  readonly headersSent: boolean;
  writeHead(code: number, headers: OutgoingHttpHeaders): unknown;
};

/** Answers with the log or a Status; resolves when the answer has ended. */
export async function serveLogs(
  response: LogResponse,
  kubeletSocket: (node: string) => string,
  pod: Pod,
  query: URLSearchParams,
  now: Date,
): Promise<void> {
  await passOn(response, async (gone) => {
    const path = logPath(pod, query, now);
    const node = pod.spec?.nodeName ?? '';
    // A pod without a node has no log yet; upstream answers with an empty one.
    const body = node === '' ? [] : await getFromKubelet(kubeletSocket(node), path, gone);
    return { body, contentType: 'text/plain' };
  });
}

/** Answers with what the kubelet says to a GET of the path, or a Status; resolves when the answer has ended. */
export async function serveNodeProxy(response: LogResponse, socket: string, path: string): Promise<void> {
  await passOn(response, async (gone) => {
    const body = await getFromKubelet(socket, path, gone);
    return { body, contentType: body.headers['content-type'] ?? 'text/plain' };
  });
}

interface Passed {
  readonly body: AsyncIterable<Uint8Array> | Iterable<Uint8Array>;
  readonly contentType: string;
}

async function passOn(response: LogResponse, ask: (gone: AbortSignal) => Promise<Passed>): Promise<void> {
  const gone = new AbortController();
  response.once('close', () => gone.abort());
  try {
    const { body, contentType } = await ask(gone.signal);
    response.writeHead(200, { 'content-type': contentType, 'cache-control': 'no-cache, private' });
    await pipeline(body, response);
  } catch (error) {
    if (response.headersSent || gone.signal.aborted) {
      // The client left, or the kubelet broke off: a cut answer is all that can be said by now.
      response.destroy();
      return;
    }
    const status = statusOf(error);
    response.writeHead(status.code ?? 500, { 'content-type': 'application/json' });
    response.end(JSON.stringify(status));
  }
}

/** The kubelet's path and query. Throws StatusError 400 or 422. */
export function logPath(pod: Pod, query: URLSearchParams, now: Date): string {
  const container = containerOf(pod, query.get('container'));
  const problems: FieldError[] = [];
  const passed = new URLSearchParams();
  for (const flag of ['follow', 'previous', 'timestamps']) if (isTrue(query, flag)) passed.set(flag, 'true');
  for (const [name, least] of [
    ['tailLines', 0],
    ['limitBytes', 1],
    ['sinceSeconds', 1],
  ] as const) {
    const value = query.get(name);
    if (value === null || value === '') continue;
    if (/^\d+$/.test(value) && Number(value) >= least) passed.set(name, value);
    else problems.push(tooSmall(name, value, least));
  }
  const sinceTime = query.get('sinceTime');
  if (sinceTime !== null && sinceTime !== '') {
    const ago = (now.getTime() - Date.parse(sinceTime)) / 1000;
    if (Number.isNaN(ago)) problems.push(invalid('sinceTime', sinceTime, 'must be an RFC 3339 time'));
    else if (passed.has('sinceSeconds')) problems.push(oneOfSince());
    else passed.set('sinceSeconds', String(Math.max(1, Math.ceil(ago))));
  }
  if (problems.length > 0) {
    const options = { ...RESOURCES.pods, kind: 'PodLogOptions' };
    throw StatusError.from(toStatus(options, pod.metadata?.name ?? '', problems));
  }
  return `/containerLogs/${pathOfPod(pod)}/${encodeURIComponent(container)}?${passed}`;
}

const tooSmall = (field: string, value: string, least: number): FieldError =>
  invalid(
    field,
    Number.isNaN(Number(value)) ? value : Number(value),
    `must be greater than ${least === 0 ? 'or equal to 0' : '0'}`,
  );

const oneOfSince = (): FieldError =>
  forbidden('', 'at most one of `sinceTime` or `sinceSeconds` may be specified');
