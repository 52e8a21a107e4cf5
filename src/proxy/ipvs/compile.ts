import type { Addr } from '../../ip/ip.ts';
import { type IpSet, type IptablesRuleset, IpvsTable } from '../../netfilter/netfilter.ts';
import type { ForwardingPlan } from '../plan.ts';
import { IpvsLedger } from './ledger.ts';
import type { IpvsOptions } from './version.ts';

/** Where kube-proxy binds the addresses of Services: only what is for the host itself reaches IPVS' hooks. */
export const IPVS_INTERFACE = 'kube-ipvs0';

/** Everything that IPVS mode needs of a node. */
export interface IpvsRules {
  /** At most one a family. */
  readonly iptables: readonly IptablesRuleset[];
  /** Of all families; those of IPv6 have names of their own. */
  readonly ipsets: readonly IpSet[];
  readonly ipvs: IpvsTable;
  /** For {@link IPVS_INTERFACE}; never an address that the node has elsewhere. */
  readonly bound: readonly Addr[];
  /** By the names of sysctl(8). */
  readonly sysctls: Readonly<Record<string, number>>;
}

/** What kube-proxy sets in IPVS mode. */
export const IPVS_SYSCTLS: Readonly<Record<string, number>> = {
  // Without it conntrack does not know IPVS' connections, and nothing could be masqueraded.
  'net.ipv4.vs.conntrack': 1,
  // Connections to a destination that is gone end with the next packet, and clients with affinity choose anew.
  'net.ipv4.vs.expire_nodest_conn': 1,
  'net.ipv4.vs.expire_quiescent_template': 1,
  'net.ipv4.ip_forward': 1,
};

/**
 * The plan as virtual servers, ipsets and the few iptables rules that ask them: kube-proxy's, by its names. Node ports are
 * virtual servers on each of the node's addresses, so give the plan's node all of them.
 *
 * @example
 * const { ipvs, ipsets } = compileIpvs(plan, { kubernetesVersion: { major: 1, minor: 22 } });
 */
export function compileIpvs(plan: ForwardingPlan, options: IpvsOptions = {}): IpvsRules {
  const families = [...new Set(plan.node.ips.map((ip) => ip.family))].sort();
  const states = families.map((family) => {
    const ledger = new IpvsLedger(family, plan.node, plan.config, options);
    for (const [name, service] of plan.services) ledger.replace(name, service);
    return ledger.state();
  });
  return {
    iptables: states.map(({ ruleset }) => ruleset),
    ipsets: states.flatMap(({ ipsets }) => ipsets),
    ipvs: IpvsTable(states.flatMap(({ servers }) => servers)),
    bound: states.flatMap(({ bound }) => bound),
    sysctls: IPVS_SYSCTLS,
  };
}
