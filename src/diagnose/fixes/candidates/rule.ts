import type { IptablesRuleset, NftRuleset } from '../../../netfilter/netfilter.ts';
import type { Host, PacketFilter } from '../../../world/world.ts';
import { isServiceRule } from '../../recognise/service-rule.ts';
import type { Candidate } from '../fix.ts';

/** A rule of somebody else that was read, deleted: who wrote it has to agree. */
export const withoutRule: Candidate = function* ({ cluster, outcome }) {
  const { host: name = '', step } = outcome.deciding ?? {};
  const host = cluster.world.hosts.get(name);
  const { place, rule = '' } = step ?? {};
  const isStopped = outcome.reason === 'droppedByRule' || outcome.reason === 'rejectedByRule';
  // A Service's own rules come back, and mean something.
  const isForeign = isStopped && !isServiceRule(rule);
  if (host?.packetFilter === undefined || place === undefined || !isForeign) return;
  const packetFilter = without(host.packetFilter, place);
  if (packetFilter === undefined) return;
  const hosts = new Map(cluster.world.hosts).set(name, { ...host, packetFilter } satisfies Host);
  const command = deletion(rule);
  yield {
    title: `delete the rule at ${place} on ${name}`,
    patch: { rule: { host: name, place, ...(command === undefined ? {} : { command }) } },
    costs: ['what it was written for, and whoever wrote it may write it again'],
    world: { ...cluster.world, hosts },
  };
};

/** nft deletes by a number that its text does not tell. */
function deletion(rule: string): string | undefined {
  const [, tool, rest] = /^(ip6?tables -t \w+) -A (.*)$/.exec(rule) ?? [];
  return tool === undefined ? undefined : `${tool} -D ${rest}`;
}

/** `undefined` where no rule stands there: a chain's policy is none. */
function without(filter: PacketFilter, place: string): PacketFilter | undefined {
  let count = 0;
  const stays = (one: { readonly place?: string }): boolean => {
    if (one.place !== place) return true;
    count += 1;
    return false;
  };
  const { iptables, nftables, laterNftables } = filter;
  const changed: PacketFilter = {
    ...filter,
    ...(iptables === undefined ? {} : { iptables: iptables.map((one) => iptablesWith(one, stays)) }),
    ...(nftables === undefined ? {} : { nftables: nftablesWith(nftables, stays) }),
    ...(laterNftables === undefined ? {} : { laterNftables: nftablesWith(laterNftables, stays) }),
  };
  return count === 0 ? undefined : changed;
}

type Stays = (rule: { readonly place?: string }) => boolean;

const iptablesWith = (ruleset: IptablesRuleset, stays: Stays): IptablesRuleset => ({
  ...ruleset,
  tables: new Map(
    [...ruleset.tables].map(([name, table]) => [name, { ...table, chains: chainsWith(table.chains, stays) }]),
  ),
});

const nftablesWith = (ruleset: NftRuleset, stays: Stays): NftRuleset => ({
  ...ruleset,
  tables: ruleset.tables.map((table) => ({ ...table, chains: chainsWith(table.chains, stays) })),
});

function chainsWith<R extends { readonly place?: string }, C extends { readonly rules: readonly R[] }>(
  chains: ReadonlyMap<string, C>,
  stays: Stays,
): Map<string, C> {
  return new Map(
    [...chains].map(([name, chain]) => [name, { ...chain, rules: chain.rules.filter(stays) }] as const),
  );
}
