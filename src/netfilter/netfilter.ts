/**
 * The rules of the Linux packet filter and of IPVS as trees: iptables, ipset, nftables and ipvsadm.
 *
 * Promises: a tree prints to exactly what `iptables-restore`, `ipset restore`, `ipvsadm -R` and `nft -f` take; what
 * `iptables-save`, `ipset save`, `ipvsadm -Sn` and `nft -j list ruleset` print parses to a tree, and a printed tree parses
 * back to itself. What compiles to the kernel is what a packet walk runs: no rule holds text that has to be read again.
 * Refuses: to guess at foreign rules. A match or target it does not model is kept as an `Unmodelled…` node that names it.
 *
 * @example
 * printNftRule(NftRule([Match(Payload('ip', 'daddr'), AddressValue(Addr.parse('10.0.0.1'))), Drop()]))
 * // 'ip daddr 10.0.0.1 drop'
 */

export * from './ipset/difference.ts';
export * from './ipset/ipset.ts';
export * from './ipset/parse.ts';
export * from './iptables/difference.ts';
export * from './iptables/parse.ts';
export * from './iptables/print.ts';
export * from './iptables/rule.ts';
export * from './iptables/ruleset.ts';
export * from './ipvs/difference.ts';
export * from './ipvs/ipvs.ts';
export * from './ipvs/parse.ts';
export * from './json-lines.ts';
export * from './nftables/difference.ts';
export * from './nftables/expression.ts';
export * from './nftables/netlink/netlink.ts';
export * from './nftables/parse.ts';
export * from './nftables/phases.ts';
export * from './nftables/print.ts';
export * from './nftables/ruleset.ts';
export * from './nftables/statement.ts';
