import { clientFromKubeconfig } from '../../client/kubeconfig.ts';
import { DataFolder } from '../../cluster/data-folder.ts';
import type { KubeObject, Node, Pod } from '../../kube/objects.ts';
import { RESOURCES } from '../../kube/resources.ts';
import { EXIT } from '../exit.ts';

/** What runs and what is not ready; exit code 2 if anything is not. */
export async function status(options: { readonly data: string; readonly output: string }): Promise<void> {
  const folder = new DataFolder(options.data);
  const holder = folder.running();
  const client = await clientFromKubeconfig(folder.kubeconfig);
  try {
    const [nodes, pods] = await Promise.all([
      client.list<Node>(RESOURCES.nodes),
      client.list<Pod>(RESOURCES.pods),
    ]);
    const parts = [...nodes.items.map((node) => part('node', node, node.status)), ...pods.items.map(podPart)];
    const server = `https://127.0.0.1:${holder.port}`;
    if (options.output === 'json') {
      process.stdout.write(
        `${JSON.stringify({ supervisor: holder.pid, server, profile: holder.profile, parts }, null, 2)}\n`,
      );
    } else {
      process.stdout.write(
        `supervisor  process ${holder.pid}, network ${holder.profile}\nAPI server  ${server}\n`,
      );
      for (const { name, ready } of parts)
        process.stdout.write(`${ready ? 'ready    ' : 'NOT READY'}   ${name}\n`);
    }
    if (parts.some(({ ready }) => !ready)) process.exitCode = EXIT.finding;
  } finally {
    await client.close();
  }
}

interface Part {
  readonly name: string;
  readonly ready: boolean;
}

type Conditions =
  | { readonly conditions?: readonly { readonly type: string; readonly status: string }[] }
  | undefined;

const part = (kind: string, object: KubeObject, state: Conditions): Part => ({
  name: [kind, object.metadata?.namespace, object.metadata?.name]
    .filter((word) => word !== undefined)
    .join('/'),
  ready: (state?.conditions ?? []).some(({ type, status }) => type === 'Ready' && status === 'True'),
});

/** A pod that has done its work is not missing. */
function podPart(pod: Pod): Part {
  const { name, ready } = part('pod', pod, pod.status);
  return { name, ready: ready || pod.status?.phase === 'Succeeded' };
}
