import { HttpKubeClient } from '../../client/http-client.ts';
import { readKubeconfig } from '../../client/kubeconfig.ts';
import { DataFolder } from '../../cluster/data-folder.ts';
import { placeIn } from '../../cluster/place.ts';
import { Exec, type Place, type Running } from '../../exec/exec.ts';

/**
 * Runs a command in the network namespace of a host of the cluster, with this terminal; its exit code becomes ours.
 * @param host a node's name, `external`, `router`, `control-plane`, or `pod/[ns/]name`
 */
export async function enter(
  host: string,
  command: readonly string[],
  options: { readonly data: string; readonly lab?: number },
): Promise<void> {
  if (options.lab !== undefined) {
    const { enterLab } = await import('./enter-lab.ts');
    return await enterLab(options.lab, host, command);
  }
  const folder = new DataFolder(options.data);
  const holder = folder.running();
  const { connection, namespace } = await readKubeconfig(folder.kubeconfig);
  const client = new HttpKubeClient(connection);
  const place = await placeIn(holder, host, client, namespace).finally(() => client.close());
  await runOnTerminal(place, command);
}

/** With this process's terminal and streams; its exit code becomes ours. */
export async function runOnTerminal(place: Place, command: readonly string[]): Promise<void> {
  const [file = process.env.SHELL ?? 'sh', ...args] = command;
  const streams = { stdin: 'inherit', stdout: 'inherit', stderr: 'inherit' } as const;
  const running = await new Exec(place).start(file, args, streams);
  // The terminal signals the whole foreground group; this process waits for what the command makes of it.
  process.on('SIGINT', () => undefined);
  await endingAsOurs(running);
}

export async function endingAsOurs({ ended }: Running): Promise<void> {
  const { code, signal } = await ended;
  process.exitCode = signal === null ? (code ?? 1) : 130;
}
