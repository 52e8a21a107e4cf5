import type { Endpoint, Family, Protocol } from '../ip/ip.ts';
import {
  AddressValue,
  Concat,
  Ct,
  Dnat,
  Fib,
  Lookup,
  Mangle,
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
  RangeValue,
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

/** Of a connection whose members are not to see the client, where others are. */
const HIDDEN = NumberValue(1);

/**
 * A rule a listener, one map of members a protocol, and one for each range of ports: nothing of a listener without
 * members, which the host then refuses.
 */
export function compileBalance({ family, keepClientAddress, listeners }: Balance): NftTable {
  const serving = listeners.filter(({ members }) => members.length > 0);
  const single = serving.filter(({ lastPort }) => lastPort === undefined);
  const ranges = serving.filter(({ lastPort }) => lastPort !== undefined);
  const byTransport = Map.groupBy(single, ({ protocol }) => wordOf(protocol));
  const hides = (one: BalancerListener) => keepClientAddress && one.keepClientAddress === false;
  const which = keepClientAddress ? Match(Ct('mark'), HIDDEN) : Match(Ct('status'), Word('dnat'));
  const masquerade = NftRule([which, Masquerade(false)]);
  return NftTable(
    nftFamily(family),
    'fairlead-balance',
    [
      NftChain(
        'prerouting',
        serving.map((one) => listenerRule(family, one, hides(one))),
        NftHook('nat', 'prerouting', DSTNAT),
      ),
      ...(keepClientAddress && !serving.some(hides)
        ? []
        : [NftChain('postrouting', [masquerade], NftHook('nat', 'postrouting', SRCNAT))]),
    ],
    [
      ...[...byTransport].map(([transport, some]) => memberMap(family, transport, some)),
      ...ranges.map((one) => rangeMap(family, one)),
    ],
  );
}

function listenerRule(family: Family, listener: BalancerListener, isHidden: boolean): NftRule {
  const { protocol, port, lastPort, members } = listener;
  const transport = wordOf(protocol);
  const dport = Payload(transport, 'dport');
  const first = NumberValue(port);
  const choice = Numgen(members.length);
  const to =
    lastPort === undefined
      ? Lookup(Concat(dport, choice), `members-${transport}`)
      : Lookup(choice, rangeName(listener));
  return NftRule([
    Match(Fib(['daddr'], 'type'), Word('local')),
    Match(dport, lastPort === undefined ? first : RangeValue(first, NumberValue(lastPort))),
    ...(isHidden ? [Mangle(Ct('mark'), HIDDEN)] : []),
    Dnat(to, { family: nftFamily(family) }),
  ]);
}

const rangeName = ({ protocol, port }: BalancerListener): string => `members-${wordOf(protocol)}-${port}`;

/** A range has its map for itself: its ports are no part of a key. */
function rangeMap(family: Family, listener: BalancerListener): NftSet {
  const elements = listener.members.map((member, at) => NftElement(NumberValue(at), pair(member)));
  return NftSet(rangeName(listener), ['integer'], {
    value: [addressType(family), 'inet_service'],
    transport: wordOf(listener.protocol),
    elements: new Map(elements.map((each) => [printNftElement(NftElement(each.key)), each])),
  });
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
