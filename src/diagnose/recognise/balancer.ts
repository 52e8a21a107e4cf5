import type { WalkRequest } from '../../trace/trace.ts';
import type { BalancerFacts } from '../../world/facts.ts';
import type { BalancerListener } from '../../world/policy.ts';

/** The balancer that has the dialled address, and what it has at the dialled port. */
export interface Balanced {
  readonly balancer: BalancerFacts;
  readonly listener?: BalancerListener;
}

export function balancedBy(
  balancer: BalancerFacts | undefined,
  { port, protocol }: WalkRequest,
): Balanced | undefined {
  if (balancer === undefined) return undefined;
  const listener = balancer.listeners.find(
    (one) => one.protocol === protocol && one.port <= port && port <= (one.lastPort ?? one.port),
  );
  return listener === undefined ? { balancer } : { balancer, listener };
}

/** Whether members see the client's address. */
export const isKept = ({ balancer, listener }: Balanced): boolean =>
  listener?.keepClientAddress ?? balancer.keepClientAddress;
