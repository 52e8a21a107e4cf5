import { once } from 'node:events';
import { type HttpKubeClient, socketClient } from '../client/http-client.ts';
import { clientFromKubeconfig, inClusterClient } from '../client/kubeconfig.ts';
import { READY_LINE } from '../cluster/daemon.ts';
import { ADMIN_SOCKET } from '../cluster/settings.ts';
import { type Log, lineLog } from '../fault/log.ts';

export interface DaemonOptions {
  readonly kubeconfig?: string;
  readonly config?: string;
}

/** What every daemon gets from its process: a log on standard error, an end on SIGTERM or SIGINT. */
export interface DaemonContext {
  readonly log: Log;
  readonly signal: AbortSignal;
  /** Says on standard output that the daemon serves. */
  ready(): void;
}

export function daemonContext(component: string): DaemonContext {
  const ending = new AbortController();
  for (const signal of ['SIGTERM', 'SIGINT'] as const) once(process, signal).then(() => ending.abort());
  return {
    log: lineLog(
      (line) => process.stderr.write(line),
      () => new Date(),
      { component },
    ),
    signal: ending.signal,
    ready: () => void process.stdout.write(`${READY_LINE}\n`),
  };
}

/** Pages of lists that a daemon reads as it starts: each is in memory twice, as text and as objects. */
const PAGES = { pageSize: 200 };

/**
 * The API server of a daemon: the kubeconfig that is named; the cluster's own socket where `fairlead up` started it; else,
 * in a pod, the pod's ServiceAccount.
 */
export async function daemonClient({ kubeconfig, config }: DaemonOptions): Promise<HttpKubeClient> {
  if (kubeconfig !== undefined) return clientFromKubeconfig(kubeconfig, undefined, PAGES);
  if (config !== undefined) return socketClient(ADMIN_SOCKET, PAGES);
  const isPod = process.env.KUBERNETES_SERVICE_HOST !== undefined;
  return isPod ? inClusterClient(PAGES) : clientFromKubeconfig(undefined, undefined, PAGES);
}
