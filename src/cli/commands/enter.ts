import { HttpKubeClient } from '../../client/http-client.ts';
import { readKubeconfig } from '../../client/kubeconfig.ts';
import { DataFolder } from '../../cluster/data-folder.ts';
import { placeIn } from '../../cluster/place.ts';
import { runOnTerminal } from '../on-terminal.ts';

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
