import { NftRuleset } from '../../netfilter/netfilter.ts';
import type { ForwardingPlan } from '../plan.ts';
import { NftablesLedger } from './ledger.ts';

/**
 * The plan as nftables rules: a table `fairlead` for each family the node has addresses of.
 *
 * The layout is flat. One verdict map leads from address, protocol and port to the chain that does what the Service's
 * policies ask of `n` endpoints; one map leads from there and a random number below `n` to the endpoint. Chains are shared
 * by all Services of the same kind and size, so ten thousand Services are sixty thousand elements and a handful of rules.
 */
export function compileNftables(plan: ForwardingPlan): NftRuleset {
  const families = [...new Set(plan.node.ips.map((ip) => ip.family))].sort();
  return NftRuleset(
    families.map((family) => {
      const ledger = new NftablesLedger(family, plan.node, plan.config);
      for (const [name, service] of plan.services) ledger.replace(name, service);
      return ledger.table();
    }),
  );
}
