import { networkInterfaces } from 'node:os';
import { Addr } from '../ip/ip.ts';
import { type NodeFacts, nodePortPrefixes, type ProxyConfig } from '../proxy/proxy.ts';

/**
 * The addresses of this network namespace that take node ports, for servers to listen on; undefined if all do, of either
 * family (newServiceHealthServer in kube-proxy's pkg/proxy/healthcheck).
 */
export function nodePortHosts(node: NodeFacts, config: ProxyConfig): readonly string[] | undefined {
  const families = [4, 6] as const;
  const within = families.map((family) => [family, nodePortPrefixes(family, node, config)] as const);
  if (within.every(([, prefixes]) => prefixes === undefined)) return undefined;
  const own = Object.values(networkInterfaces())
    .flat()
    .flatMap((one) => (one === undefined ? [] : [Addr.parse(one.address)]));
  return within.flatMap(([family, prefixes]) => {
    if (prefixes === undefined) return [family === 4 ? '0.0.0.0' : '::'];
    return own.filter((addr) => prefixes.some((prefix) => prefix.contains(addr))).map(({ text }) => text);
  });
}
