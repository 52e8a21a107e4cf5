import type { Pod } from '../../kube/objects.ts';

/** Its addresses as they are written, the primary one first; a manifest may say it alone. */
export function podIPsOf({ status }: Pod): string[] {
  const { podIP, podIPs = [] } = status ?? {};
  const all = podIPs.flatMap(({ ip }) => ip ?? []);
  return all.length > 0 ? all : podIP === undefined ? [] : [podIP];
}
