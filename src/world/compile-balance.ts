import type { Endpoint, Family, Protocol } from '../ip/ip.ts';
import {
  AddressValue,
  Concat,
  Ct,
  Dnat,
  Fib,
  Lookup,
  Masquerade,
  Match,
  NftChain,
  NftElement,
  NftHook,
  NftRule,
  NftSet,
  NftTable,
  NumberValue,
  Numgen,
  Payload,
  printNftElement,
  Word,
} from '../netfilter/netfilter.ts';
import { DSTNAT, SRCNAT } from './hook-priority.ts';
import type { Balance, BalancerListener } from './policy.ts';

type Transport = 'tcp' | 'udp' | 'sctp';

/** The protocol as nftables spells it. */
export const wordOf = (protocol: Protocol): Transport =>
  protocol === 'TCP' ? 'tcp' : protocol === 'UDP' ? 'udp' : 'sctp';

/** The family's tables and headers, as nftables calls them. */
export const nftFamily = (family: Family): 'ip' | 'ip6' => (family === 4 ? 'ip' : 'ip6');

export const addressType = (family: Family): 'ipv4_addr' | 'ipv6_addr' =>
  family === 4 ? 'ipv4_addr' : 'ipv6_addr';

/** A rule a listener and one map of members a protocol: nothing of a listener without members, which the host then refuses. */
export function compileBalance({ family, keepClientAddress, listeners }: Balance): NftTable {
  const serving = listeners.filter(({ members }) => members.length > 0);
  const byTransport = Map.groupBy(serving, ({ protocol }) => wordOf(protocol));
  const masquerade = NftRule([Match(Ct('status'), Word('dnat')), Masquerade(false)]);
  return NftTable(
    nftFamily(family),
    'fairlead-balance',
    [
      NftChain(
        'prerouting',
        serving.map((one) => listenerRule(family, one)),
        NftHook('nat', 'prerouting', DSTNAT),
      ),
      ...(keepClientAddress
        ? []
        : [NftChain('postrouting', [masquerade], NftHook('nat', 'postrouting', SRCNAT))]),
    ],
    [...byTransport].map(([transport, some]) => memberMap(family, transport, some)),
  );
}

function listenerRule(family: Family, { protocol, port, members }: BalancerListener): NftRule {
  const transport = wordOf(protocol);
  const dport = Payload(transport, 'dport');
  return NftRule([
    Match(Fib(['daddr'], 'type'), Word('local')),
    Match(dport, NumberValue(port)),
    Dnat(Lookup(Concat(dport, Numgen(members.length)), `members-${transport}`), {
      family: nftFamily(family),
    }),
  ]);
}

function memberMap(family: Family, transport: Transport, listeners: readonly BalancerListener[]): NftSet {
  const elements = listeners.flatMap(({ port, members }) =>
    members.map((member, at) => NftElement(Concat(NumberValue(port), NumberValue(at)), pair(member))),
  );
  return NftSet(`members-${transport}`, ['inet_service', 'integer'], {
    value: [addressType(family), 'inet_service'],
    transport,
    elements: new Map(elements.map((each) => [printNftElement(NftElement(each.key)), each])),
  });
}

const pair = ({ addr, port }: Endpoint) => Concat(AddressValue(addr), NumberValue(port));
