/**
 * A World out of what nodes print: `iptables-save`, `nft -j list ruleset`, `ip -j route` and their like, one folder a node.
 * So rules that no controller of ours wrote are walked, too.
 *
 * Promises: text in, World out. What a node printed takes the place of what would have been compiled for it: devices, routes,
 * rules, settings, sockets; a node that printed nothing stays as it is. Each rule that was read bears `file:line`. What is
 * not modelled keeps its place, and matters to the packets that come to it. Pods' links are found by what the node knows of
 * their addresses, or, where the pods' namespaces printed as well, by both ends of the pair. What was taken for granted is a
 * {@link Problem}.
 * Refuses: to run anything, and to repair: a file that is cut off or no output of its tool is a Fault FE006 with file and line;
 * a folder that is no node's is a Fault FE013. The network between the nodes prints nothing: it is the profile's, and the
 * router is the only neighbour on it, whatever the real one has there.
 *
 * @example
 * const cluster = clusterFrom(inventory, profile);
 * const { world } = withNodes(cluster, folders.map(readDump));
 */
import { Fault } from '../../fault/fault.ts';
import { checkWorld } from '../check.ts';
import type { Cluster } from '../from-objects/from-objects.ts';
import type { Dump } from './dump.ts';
import { Join } from './join.ts';

export { collectScript } from './collect-script.ts';
export { type Dump, readDump } from './dump.ts';
export { DUMP_FILES, type DumpFile, type DumpFolder, PODS_FOLDER } from './dump-folder.ts';
export { inventoryOfNodes, signsOf } from './objects.ts';

/** The cluster with these nodes as they printed themselves. Throws {@link Fault} FE013 or FE011. */
export function withNodes(cluster: Cluster, dumps: readonly Dump[]): Cluster {
  const join = new Join(cluster.world);
  for (const dump of dumps) {
    const node = cluster.nodes.find(({ facts }) => facts.name === dump.name);
    if (node === undefined) throw nobody(cluster, dump);
    const pods = [...cluster.pods.values()].filter((pod) => pod.node === dump.name && pod.host !== dump.name);
    join.add({ dump, facts: node.facts, pods });
  }
  return {
    ...cluster,
    world: checkWorld(join.world),
    compiled: cluster.world,
    problems: [...cluster.problems, ...join.problems],
  };
}

function nobody({ nodes }: Cluster, { path, name }: Dump): Fault {
  const names = nodes.map(({ facts }) => facts.name).join(', ');
  return new Fault('FE013', `${path}: there is no node '${name}'`, `name the folder after one of: ${names}`);
}
