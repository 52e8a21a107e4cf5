import type { Addr } from '../ip/ip.ts';
import {
  compileIptables,
  compileIpvs,
  compileNftables,
  type ForwardingPlan,
  IPVS_INTERFACE,
} from '../proxy/proxy.ts';
import { type ClusterProfile, KUBE_PROXY } from './profile.ts';
import { replacedProxy } from './replaced-proxy.ts';
import { hostAddress, macs } from './wiring.ts';
import { addressOf, type Dummy, type Host, type PacketFilter, type World } from './world.ts';

/** What kube-proxy brings to a node. */
export interface ServiceRules {
  readonly packetFilter: PacketFilter;
  /** The addresses it binds to {@link IPVS_INTERFACE}. */
  readonly bound: readonly Addr[];
}

/** The plan in the mode of the profile. */
export function serviceRules(profile: ClusterProfile, plan: ForwardingPlan): ServiceRules {
  if (profile.serviceProxy !== KUBE_PROXY) {
    return { packetFilter: { nftables: replacedProxy(profile.serviceProxy, plan) }, bound: [] };
  }
  switch (profile.proxyMode) {
    case 'nftables':
      return { packetFilter: { nftables: compileNftables(plan) }, bound: [] };
    case 'iptables':
      return { packetFilter: { iptables: compileIptables(plan) }, bound: [] };
    case 'ipvs': {
      const { bound, iptables, ipsets, ipvs } = compileIpvs(plan, profile);
      return { packetFilter: { iptables, ipsets, ipvs }, bound };
    }
  }
}

/** The World with the rules of each node, by the node's name. */
export function withServiceRules(world: World, rules: ReadonlyMap<string, ServiceRules>): World {
  const hosts = new Map(
    [...world.hosts].map(([name, host]) => {
      const own = rules.get(name);
      return [name, own === undefined ? host : withRules(host, own)] as const;
    }),
  );
  return { ...world, hosts };
}

function withRules(host: Host, { packetFilter, bound }: ServiceRules): Host {
  if (bound.length === 0) return { ...host, packetFilter };
  const taken = new Set(host.interfaces.flatMap(({ addresses }) => addresses.map(({ addr }) => addr.text)));
  const dummy: Dummy = {
    kind: 'dummy',
    name: IPVS_INTERFACE,
    mac: macs.ipvs(addressOf(host)),
    addresses: bound.filter(({ text }) => !taken.has(text)).map(hostAddress),
  };
  return { ...host, packetFilter, interfaces: [...host.interfaces, dummy] };
}
