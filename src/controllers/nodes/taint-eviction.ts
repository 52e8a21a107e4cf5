/**
 * Eviction by taints: a pod goes from a node whose NoExecute taint it does not tolerate, at once or when its tolerationSeconds are
 * over. With the tolerations every pod gets by default, that is 300 s after its node has fallen silent.
 */
import { ApiError } from '../../client/client.ts';
import { type Taint, tolerates } from '../../kube/node-fit.ts';
import { keyOf, type Node, type Pod } from '../../kube/objects.ts';
import { RESOURCES } from '../../kube/resources.ts';
import { BY_NODE, type Context, queueOf, recorderOf } from '../context.ts';
import { isDeleting, keyPartsOf, nameOf, uidOf } from '../metadata.ts';
import { isFinished } from '../pods.ts';
import { sameJson } from '../same-json.ts';

export function startTaintEviction(context: Context): void {
  const { client, informers, clock } = context;
  const events = recorderOf(context, 'taint-eviction-controller');
  const queue = queueOf(context, 'tainteviction', sync, 8);
  informers.nodes.subscribe({ added: wakePods, updated: (node, old) => wakePods(node, old) });
  informers.pods.subscribe({
    added: wake,
    updated: (pod, old) => {
      const facts = ({ spec }: Pod) => [spec?.nodeName, spec?.tolerations];
      if (!sameJson(facts(pod), facts(old))) wake(pod);
    },
  });

  function wake(pod: Pod): void {
    if (taintsOf(informers.nodes.get(pod.spec?.nodeName ?? '')).length > 0) queue.add(keyOf(pod));
  }

  function wakePods(node: Node, old?: Node): void {
    if (sameJson(taintsOf(node), taintsOf(old))) return;
    for (const pod of informers.pods.lookup(BY_NODE, nameOf(node))) wake(pod);
  }

  async function sync(key: string): Promise<void> {
    const pod = informers.pods.get(key);
    if (pod === undefined || isDeleting(pod) || isFinished(pod)) return;
    const ends = endOf(pod, taintsOf(informers.nodes.get(pod.spec?.nodeName ?? '')), clock.now());
    if (ends === undefined) return;
    if (ends > clock.now()) queue.addAfter(key, ends - clock.now());
    else await evict(pod);
  }

  async function evict(pod: Pod): Promise<void> {
    events.event(pod, 'Normal', 'TaintManagerEviction', `Marking for deletion Pod ${keyOf(pod)}`);
    try {
      await client.delete(RESOURCES.pods, keyPartsOf(pod), { preconditions: { uid: uidOf(pod) } });
    } catch (error) {
      if (!ApiError.is(error, 'NotFound')) throw error;
    }
  }
}

const taintsOf = (node: Node | undefined): Taint[] =>
  (node?.spec?.taints ?? []).filter(({ effect }) => effect === 'NoExecute');

/** When the pod must go, in milliseconds since 1970; undefined if it may stay. */
export function endOf({ spec }: Pod, taints: readonly Taint[], now: number): number | undefined {
  const ends = taints.map((taint) => {
    const matching = (spec?.tolerations ?? []).filter((toleration) => tolerates(toleration, taint));
    if (matching.length === 0) return now;
    const seconds = Math.min(
      ...matching.map(({ tolerationSeconds = Number.POSITIVE_INFINITY }) => tolerationSeconds),
    );
    return (Date.parse(taint.timeAdded ?? '') || now) + Math.max(0, seconds) * 1000;
  });
  const first = Math.min(...ends);
  return Number.isFinite(first) ? first : undefined;
}
