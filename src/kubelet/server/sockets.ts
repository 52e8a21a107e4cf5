import { Exec } from '../../exec/exec.ts';
import { keyOf } from '../../kube/objects.ts';
import type { PodWorker } from '../pods/pod-worker.ts';

/**
 * What `ss -Hlntu` prints in each pod that has a network of its own, by `namespace/name`: where its processes listen at this
 * moment. A pod that went while it was asked is left out.
 */
export async function socketsOf(workers: Iterable<PodWorker>): Promise<Record<string, string>> {
  const told = await Promise.all(
    [...workers].map(async (worker): Promise<[string, string] | undefined> => {
      const { netns } = worker.sandbox ?? {};
      if (netns === undefined) return undefined;
      try {
        const { stdout } = await new Exec().inside(netns).run({ file: 'ss', args: ['-Hlntu'] });
        return [keyOf(worker.pod), stdout];
      } catch (error) {
        if (worker.sandbox?.netns !== netns) return undefined;
        throw error;
      }
    }),
  );
  return Object.fromEntries(told.filter((one) => one !== undefined));
}
