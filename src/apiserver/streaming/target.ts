/**
 * Where a stream of a pod goes: the node and the kubelet's path, or a StatusError in upstream's words (kubernetes,
 * pkg/registry/core/pod/strategy.go). Pure.
 */
import type { Container, Pod } from '../../kube/objects.ts';
import { badRequest } from '../status.ts';

export interface Target {
  readonly node: string;
  /** Path and query on the kubelet. */
  readonly path: string;
}

/** What an exec or attach asks for. */
export interface Streams {
  readonly stdin: boolean;
  readonly stdout: boolean;
  readonly stderr: boolean;
  readonly tty: boolean;
}

/** The streams a request names. A terminal has no stderr of its own. Throws StatusError 400 if it names none. */
export function streamsOf(query: URLSearchParams): Streams {
  const tty = isTrue(query, 'tty');
  const stdin = isTrue(query, 'stdin');
  const stdout = isTrue(query, 'stdout');
  const stderr = isTrue(query, 'stderr') && !tty;
  if (!stdin && !stdout && !stderr) {
    throw badRequest('you must specify at least 1 of stdin, stdout, stderr');
  }
  return { stdin, stdout, stderr, tty };
}

/** As apimachinery reads a bool of a query: present, and neither `false` nor `0`. */
export function isTrue(query: URLSearchParams, name: string): boolean {
  const value = query.get(name);
  return value !== null && value.toLowerCase() !== 'false' && value !== '0';
}

export function execTarget(pod: Pod, kind: 'exec' | 'attach', query: URLSearchParams): Target {
  const container = containerOf(pod, query.get('container'));
  const node = nodeOf(pod);
  const passed = new URLSearchParams();
  if (kind === 'exec') {
    const command = query.getAll('command');
    if (command.length === 0) throw badRequest('you must specify at least 1 command');
    for (const word of command) passed.append('command', word);
  }
  for (const [name, wanted] of Object.entries(streamsOf(query))) if (wanted) passed.append(name, 'true');
  return { node, path: `/${kind}/${pathOfPod(pod)}/${encodeURIComponent(container)}?${passed}` };
}

export function portForwardTarget(pod: Pod, port: number): Target {
  return { node: nodeOf(pod), path: `/portForward/${pathOfPod(pod)}?port=${port}` };
}

/** The container that a request means. Throws StatusError 400. */
export function containerOf(pod: Pod, asked: string | null): string {
  const { containers = [], initContainers = [], ephemeralContainers = [] } = pod.spec ?? {};
  const name = pod.metadata?.name ?? '';
  if (asked !== null && asked !== '') {
    const known = [...containers, ...initContainers, ...ephemeralContainers].some(
      (one) => one.name === asked,
    );
    if (!known) throw badRequest(`container ${asked} is not valid for pod ${name}`);
    return asked;
  }
  const [only] = containers;
  if (only !== undefined && containers.length === 1) return only.name;
  const must = `a container name must be specified for pod ${name}`;
  if (containers.length === 0) throw badRequest(must);
  const inits = initContainers.length > 0 ? ` or one of the init containers: ${listOf(initContainers)}` : '';
  throw badRequest(`${must}, choose one of: ${listOf(containers)}${inits}`);
}

const listOf = (containers: readonly Pick<Container, 'name'>[]): string =>
  `[${containers.map((one) => one.name).join(' ')}]`;

/** Throws StatusError 400 while the pod is not scheduled. */
export function nodeOf(pod: Pod): string {
  const node = pod.spec?.nodeName;
  if (node === undefined || node === '') {
    throw badRequest(`pod ${pod.metadata?.name ?? ''} does not have a host assigned`);
  }
  return node;
}

export function pathOfPod(pod: Pod): string {
  const { namespace = 'default', name = '' } = pod.metadata ?? {};
  return `${encodeURIComponent(namespace)}/${encodeURIComponent(name)}`;
}
