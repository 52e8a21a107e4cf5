import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { connect } from 'node:net';
import type { HTTPGetAction } from 'kubernetes-types/core/v1.js';
import type { Container, Probe } from '../../kube/objects.ts';

/** What a probe's one look at a container came to. */
export interface ProbeResult {
  readonly healthy: boolean;
  readonly output: string;
}

export interface ProbeTarget {
  readonly container: Container;
  readonly podIP: string;
  /** Runs a command in the container; the code is the process's exit code. */
  readonly exec: (argv: readonly string[], timeoutMs: number) => Promise<{ code: number; output: string }>;
}

type Action = Pick<Probe, 'exec' | 'httpGet' | 'tcpSocket' | 'grpc'>;

/** Looks once, from the network namespace of this process. Never rejects: what goes wrong is unhealthy. */
export async function look(action: Action, target: ProbeTarget, timeoutMs: number): Promise<ProbeResult> {
  if (action.httpGet !== undefined) return httpGet(action.httpGet, target, timeoutMs);
  if (action.tcpSocket !== undefined) {
    const { host, port } = action.tcpSocket;
    return tcpSocket(host ?? target.podIP, portOf(port, target.container), timeoutMs);
  }
  if (action.exec !== undefined) return exec(action.exec.command ?? [], target, timeoutMs);
  return { healthy: false, output: 'gRPC probes are refused in this cluster' };
}

async function exec(argv: readonly string[], target: ProbeTarget, timeoutMs: number): Promise<ProbeResult> {
  try {
    const { code, output } = await target.exec(argv, timeoutMs);
    return { healthy: code === 0, output: output.trim() };
  } catch (error) {
    return { healthy: false, output: error instanceof Error ? error.message : String(error) };
  }
}

/** Healthy from 200 to 399, as upstream has it; certificates are not verified. */
function httpGet(action: HTTPGetAction, target: ProbeTarget, timeoutMs: number): Promise<ProbeResult> {
  const scheme = (action.scheme ?? 'HTTP').toLowerCase();
  const host = action.host ?? target.podIP;
  const port = portOf(action.port, target.container);
  const path = action.path?.startsWith('/') ? action.path : `/${action.path ?? ''}`;
  const url = `${scheme}://${host.includes(':') ? `[${host}]` : host}:${port}${path}`;
  const headers = Object.fromEntries((action.httpHeaders ?? []).map(({ name, value }) => [name, value]));
  const send = scheme === 'https' ? httpsRequest : httpRequest;
  return new Promise((resolve) => {
    const signal = AbortSignal.timeout(timeoutMs);
    const fail = (error: Error) =>
      resolve({ healthy: false, output: `Get "${url}": ${signal.aborted ? DEADLINE : error.message}` });
    const options = {
      headers: { 'user-agent': 'kube-probe/fairlead', accept: '*/*', connection: 'close', ...headers },
      rejectUnauthorized: false,
      agent: false as const,
      signal,
    };
    const asked = send(url, options, (answer) => {
      const code = answer.statusCode ?? 0;
      answer.destroy();
      const healthy = code >= 200 && code < 400;
      resolve({ healthy, output: healthy ? '' : `HTTP probe failed with statuscode: ${code}` });
    });
    asked.on('error', fail);
    asked.end();
  });
}

const DEADLINE = 'context deadline exceeded';

function tcpSocket(host: string, port: number, timeoutMs: number): Promise<ProbeResult> {
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    const end = (healthy: boolean, output: string) => {
      socket.destroy();
      resolve({ healthy, output });
    };
    socket.setTimeout(timeoutMs, () => end(false, `dial tcp ${host}:${port}: i/o timeout`));
    socket.once('connect', () => end(true, ''));
    socket.once('error', (error) => end(false, `dial tcp ${host}:${port}: ${error.message}`));
  });
}

/** A port by number or by the name the container gives it; 0, which nothing answers, for a name it does not give. */
function portOf(port: number | string, container: Container): number {
  if (typeof port === 'number') return port;
  return container.ports?.find((one) => one.name === port)?.containerPort ?? (Number(port) || 0);
}
