/**
 * From Services and EndpointSlices to the rules of one node.
 *
 * Promises: endpoint choice and traffic policies as kube-proxy has them; one forwarding plan per node that every mode
 * compiles; pure functions, so that a simulator and a kernel get the same trees.
 * Refuses: to fail as a whole. A Service that cannot be expressed is left out alone and reported as a {@link Problem}.
 *
 * @example
 * const plan = planFor(node, services, slices, DEFAULT_CONFIG);
 * printNftRuleset(compileNftables(plan)); // what `nft -f` takes
 */
export * from './config.ts';
export * from './endpoints.ts';
export { isProxyChain } from './iptables/chains.ts';
export * from './iptables/compile.ts';
export * from './iptables/ledger.ts';
export * from './ipvs/compile.ts';
export * from './ipvs/ledger.ts';
export { ipvsSetNames } from './ipvs/sets.ts';
export type { IpvsOptions } from './ipvs/version.ts';
export * from './nftables/compile.ts';
export { TABLE_NAME } from './nftables/frame.ts';
export * from './nftables/ledger.ts';
export * from './plan.ts';
export * from './plan-service.ts';
