import type { IptablesRuleset } from '../../netfilter/netfilter.ts';
import type { ForwardingPlan } from '../plan.ts';
import { IptablesLedger } from './ledger.ts';

/**
 * The plan as iptables rules, a ruleset for each family the node has addresses of: kube-proxy's chains, by its names and in
 * its order, so that what people know of them holds.
 */
export function compileIptables(plan: ForwardingPlan): IptablesRuleset[] {
  const families = [...new Set(plan.node.ips.map((ip) => ip.family))].sort();
  return families.map((family) => {
    const ledger = new IptablesLedger(family, plan.node, plan.config);
    for (const [name, service] of plan.services) ledger.replace(name, service);
    return ledger.ruleset();
  });
}
