import type { KubeClient } from '../client/client.ts';
import type { Place } from '../exec/exec.ts';
import { Fault } from '../fault/fault.ts';
import type { Pod } from '../kube/objects.ts';
import { RESOURCES } from '../kube/resources.ts';
import { cagePlace } from '../lab/cage.ts';
import { netnsOfPod } from '../lab/node-network.ts';
import type { SupervisorRecord } from './data-folder.ts';

const OTHERS = ['external', 'router', 'control-plane'];

/** Where commands of `fairlead enter HOST` run. Throws {@link Fault} FE006 for a host that is not there. */
export async function placeIn(
  holder: SupervisorRecord,
  host: string,
  client: KubeClient,
  defaultNamespace: string,
): Promise<Place> {
  const inside = (netns: string) => cagePlace(holder.cagePid, holder.privilege, netns);
  const pod = /^pod\/(?:([^/]+)\/)?([^/]+)$/.exec(host);
  if (pod?.[2] !== undefined) {
    const found = await client.get<Pod>(RESOURCES.pods, pod[2], pod[1] ?? defaultNamespace);
    return inside(netnsOfPod(found.metadata?.uid ?? ''));
  }
  const known = [...holder.nodes, ...OTHERS];
  if (known.includes(host)) return inside(host);
  throw new Fault('FE006', `there is no host '${host}'`, `use ${known.join(', ')} or pod/NAME`);
}
