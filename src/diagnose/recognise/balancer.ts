import type { WalkRequest } from '../../trace/trace.ts';
import { type BalancerFacts, dialledAddressesOf } from '../../world/facts.ts';
import type { Cluster } from '../../world/from-objects/from-objects.ts';
import type { BalancerListener } from '../../world/policy.ts';

/** The balancer that has the dialled address, and what it has at the dialled port. */
export interface Balanced {
  readonly balancer: BalancerFacts;
  readonly listener?: BalancerListener;
}

export function balancedBy(
  { balancers }: Cluster,
  { to, port, protocol }: WalkRequest,
): Balanced | undefined {
  const balancer = balancers.find((one) => dialledAddressesOf(one).some((addr) => addr.equals(to)));
  if (balancer === undefined) return undefined;
  const listener = balancer.listeners.find(
    (one) => one.protocol === protocol && one.port <= port && port <= (one.lastPort ?? one.port),
  );
  return listener === undefined ? { balancer } : { balancer, listener };
}

/** Whether members see the client's address. */
export const isKept = ({ balancer, listener }: Balanced): boolean =>
  listener?.keepClientAddress ?? balancer.keepClientAddress;
