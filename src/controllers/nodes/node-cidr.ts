/** Gives each node its part of the pod range, once and for the node's life. */
import { ApiError } from '../../client/client.ts';
import { Prefix } from '../../ip/prefix.ts';
import type { Node } from '../../kube/objects.ts';
import { RESOURCES } from '../../kube/resources.ts';
import { type Context, queueOf, recorderOf } from '../context.ts';
import { isDeleting, nameOf } from '../metadata.ts';

/** Upstream's node-cidr-mask-size of each family. */
const MASK = { 4: 24, 6: 64 } as const;

export function startNodeCidrs(context: Context): void {
  const { client, informers, podCIDR } = context;
  const events = recorderOf(context, 'cidrAllocator');
  // One at a time: two nodes must not be given the same range.
  const queue = queueOf(context, 'nodecidr', sync, 1);
  /** What was given and the watch has yet to tell, by node. */
  const given = new Map<string, string>();
  informers.nodes.subscribe({
    added: (node) => queue.add(nameOf(node)),
    updated: (node) => {
      if (node.spec?.podCIDR !== undefined) given.delete(nameOf(node));
    },
    deleted: (node) => {
      given.delete(nameOf(node));
      for (const other of informers.nodes.values()) if (!other.spec?.podCIDR) queue.add(nameOf(other));
    },
  });

  async function sync(name: string): Promise<void> {
    await informers.nodes.synced;
    const node = informers.nodes.get(name);
    if (node === undefined || isDeleting(node) || node.spec?.podCIDR || given.has(name)) return;
    const taken = [...[...informers.nodes.values()].flatMap(cidrsOf), ...given.values()];
    const free = firstFree(
      podCIDR,
      taken.map((one) => Prefix.parse(one)),
    );
    if (free === undefined) {
      events.event(node, 'Normal', 'CIDRNotAvailable', `Node ${name} status is now: CIDRNotAvailable`);
      return;
    }
    const range = free.toString();
    given.set(name, range);
    try {
      const spec = { podCIDR: range, podCIDRs: [range] };
      await client.patch<Node>(RESOURCES.nodes, { name }, 'merge', { spec });
    } catch (error) {
      given.delete(name);
      if (!ApiError.is(error, 'NotFound')) throw error;
    }
  }
}

const cidrsOf = ({ spec }: Node): string[] =>
  spec?.podCIDRs ?? (spec?.podCIDR === undefined ? [] : [spec.podCIDR]);

/** The lowest part of the range that overlaps nothing taken. */
export function firstFree(range: Prefix, taken: readonly Prefix[]): Prefix | undefined {
  const length = Math.max(range.length, MASK[range.family]);
  const count = 2 ** Math.min(16, length - range.length);
  for (let index = 0; index < count; index++) {
    const part = range.subnet(length, index);
    if (!taken.some((one) => one.overlaps(part))) return part;
  }
  return undefined;
}
