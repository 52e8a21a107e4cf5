import type { Addr, Family, Port } from '../ip/ip.ts';
import {
  AddressValue,
  AnonymousSet,
  Fib,
  Match,
  NftChain,
  NftHook,
  NftRule,
  NftRuleset,
  NftTable,
  NumberValue,
  Payload,
  UnmodelledStatement,
  Word,
} from '../netfilter/netfilter.ts';
import type { ForwardingPlan } from '../proxy/proxy.ts';
import { RAW } from './hook-priority.ts';

/**
 * What stands on a node for rules that nobody here can read: where a packet for a Service comes by, the walk ends and names
 * who would go on. Everything else passes as it would.
 */
export function replacedProxy(name: string, plan: ForwardingPlan): NftRuleset {
  const ports = [...plan.services.values()].flatMap((service) => service.ports);
  const tables = ([4, 6] as const).flatMap((family) => {
    const own = ports.filter((port) => port.family === family);
    if (own.length === 0) return [];
    const addresses = own.flatMap((port) => [
      port.clusterIP.addr,
      ...port.externalIPs,
      ...port.loadBalancerIPs,
    ]);
    const nodePorts = own.flatMap(({ nodePort }) => nodePort ?? []);
    const rules = [...toAddresses(name, family, addresses), ...toNodePorts(name, nodePorts)];
    const chain = (hook: 'prerouting' | 'output') => NftChain(hook, rules, NftHook('filter', hook, RAW));
    return [NftTable(family === 4 ? 'ip' : 'ip6', 'services', [chain('prerouting'), chain('output')], [])];
  });
  return NftRuleset(tables);
}

function toAddresses(name: string, family: Family, addresses: readonly Addr[]): NftRule[] {
  const distinct = [...new Map(addresses.map((addr) => [addr.text, addr])).values()];
  const destination = Payload(family === 4 ? 'ip' : 'ip6', 'daddr');
  return [opaque(name, Match(destination, AnonymousSet(distinct.map(AddressValue))))];
}

function toNodePorts(name: string, ports: readonly Port[]): NftRule[] {
  if (ports.length === 0) return [];
  const distinct = AnonymousSet([...new Set(ports)].map(NumberValue));
  return [
    opaque(name, Match(Fib(['daddr'], 'type'), Word('local')), Match(Payload('th', 'dport'), distinct)),
  ];
}

const opaque = (name: string, ...matches: readonly Match[]): NftRule =>
  NftRule(
    [...matches, UnmodelledStatement(name, {})],
    `${name} forwards Services here, in the place of kube-proxy`,
  );
