import type {
  BalancedTo,
  Conntrack,
  ConntrackState,
  IptablesMatch,
  MatchSet,
  MultiPort,
  PortRange,
  Recent,
  TcpFlags,
  TransportPorts,
} from '../../netfilter/netfilter.ts';
import type { Content } from '../packet.ts';
import { type Passage, Unmodelled } from '../passage.ts';
import { transportOf } from '../tuple.ts';
import type { IpSetIndex } from './ip-set.ts';

/** The sets rules may ask, by name. */
export type Sets = ReadonlyMap<string, IpSetIndex>;

export type Test = (passage: Passage) => boolean;

/**
 * The tests of a rule: those that only look come first, then what is not modelled, so that it matters only where all
 * others hold; last those that draw lots or remember.
 */
export function testsOf(matches: readonly IptablesMatch[], sets: Sets): Test[] {
  const rank = ({ kind }: IptablesMatch): number =>
    kind === 'Statistic' || kind === 'Recent' ? 2 : kind === 'UnmodelledMatch' ? 1 : 0;
  return matches
    .filter((match) => match.kind !== 'Comment')
    .toSorted((a, b) => rank(a) - rank(b))
    .map((match) => testOf(match, sets));
}

function testOf(match: IptablesMatch, sets: Sets): Test {
  switch (match.kind) {
    case 'Comment':
      return () => true;
    case 'Source':
      return ({ packet }) => match.prefix.contains(packet.source) !== match.not;
    case 'Destination':
      return ({ packet }) => match.prefix.contains(packet.destination) !== match.not;
    case 'InInterface': {
      const is = nameTest(match.name);
      return ({ input }) => is(input?.name ?? '') !== match.not;
    }
    case 'OutInterface': {
      const is = nameTest(match.name);
      return ({ output }) => is(output?.name ?? '') !== match.not;
    }
    case 'IpProtocol':
      return protocolTest(match.protocol, match.not);
    case 'TransportPorts':
      return portsTest(match);
    case 'AddrType': {
      const types = match.type.toLowerCase().split(',');
      return ({ stack, packet }) => {
        const addr = match.side === 'src' ? packet.source : packet.destination;
        return types.includes(stack.routing.typeOf(addr)) !== match.not;
      };
    }
    case 'Conntrack':
      return conntrackTest(match);
    case 'ConntrackEnd': {
      const { direction, side, prefix, not } = match;
      // Of a packet without a connection nothing holds, turned round or not (conntrack_mt in xt_conntrack.c).
      return ({ packet: { connection } }) =>
        connection !== undefined && prefix.contains(connection[direction][side]) !== not;
    }
    case 'MultiPort':
      return multiPortTest(match);
    case 'Mark':
      return ({ packet }) => ((packet.mark & match.mask) >>> 0 === match.value) !== match.not;
    case 'Statistic': {
      const weights = [match.probability, 1 - match.probability];
      return ({ choices }) => choices.choose(weights) === 0;
    }
    case 'Recent':
      return recentTest(match);
    case 'MatchSet':
      return setTest(match, sets);
    case 'BridgeInput':
      return ({ inputPort }) => (inputPort !== undefined) !== match.not;
    case 'BalancedTo':
      return balancedTest(match);
    case 'UnmodelledMatch':
      return unmodelled(`the match '${match.words.join(' ')}' is not modelled`);
  }
}

function unmodelled(what: string): Test {
  return () => {
    throw new Unmodelled(what);
  };
}

function setTest({ set: name, fields, not }: MatchSet, sets: Sets): Test {
  const set = sets.get(name);
  if (set === undefined) return unmodelled(`what the set '${name}' holds is not known`);
  if (set.unmodelled !== undefined) return unmodelled(`${set.unmodelled} is not modelled`);
  return ({ packet }) => set.has(packet, fields) !== not;
}

/** IPVS looks for the connection of which the packet goes to the destination (ip_vs_conn_out_get, inverted). */
function balancedTest({ protocol, virtual }: BalancedTo): Test {
  const transport = transportOf(protocol);
  return ({ packet, state }) =>
    packet.balanced &&
    packet.protocol === transport &&
    state.virtualConnections.some(
      (one) =>
        one.protocol === transport &&
        one.virtual.equals(virtual.addr) &&
        one.virtualPort === virtual.port &&
        one.client.equals(packet.source) &&
        one.clientPort === packet.sourcePort &&
        one.destination.equals(packet.destination) &&
        one.destinationPort === packet.destinationPort,
    );
}

function nameTest(name: string): (interfaceName: string) => boolean {
  if (!name.endsWith('+')) return (one) => one === name;
  const start = name.slice(0, -1);
  return (one) => one.startsWith(start);
}

const PROTOCOLS: Readonly<Record<string, string>> = {
  '1': 'icmp',
  '6': 'tcp',
  '17': 'udp',
  '58': 'ipv6-icmp',
  '132': 'sctp',
  icmpv6: 'ipv6-icmp',
};

const protocolOf = ({ content, family, protocol }: Passage['packet']): string =>
  content !== 'error' ? protocol : family === 4 ? 'icmp' : 'ipv6-icmp';

function protocolTest(text: string, not: boolean): Test {
  const protocol = PROTOCOLS[text] ?? text;
  if (protocol === 'all' || protocol === '0') return () => !not;
  return ({ packet }) => (protocolOf(packet) === protocol) !== not;
}

/** The flags that are up, for there is nothing else a packet could be in a conversation. */
const FLAGS: Readonly<Record<Exclude<Content, 'error'>, readonly string[]>> = {
  request: ['SYN'],
  answer: ['SYN', 'ACK'],
  confirm: ['ACK'],
  reset: ['RST', 'ACK'],
};

function flagsTest({ among, set, not }: TcpFlags): (content: Content) => boolean {
  const holds = (up: readonly string[]) => among.every((flag) => up.includes(flag) === set.includes(flag));
  return (content) => content !== 'error' && holds(FLAGS[content]) !== not;
}

function portsTest({ module, source, destination, flags }: TransportPorts): Test {
  const fits = flags === undefined ? () => true : flagsTest(flags);
  const within = (range: PortRange | undefined, port: number) =>
    range === undefined || (port >= range.from && port <= range.to) !== range.not;
  return ({ packet }) =>
    packet.content !== 'error' &&
    packet.protocol === module &&
    within(source, packet.sourcePort) &&
    within(destination, packet.destinationPort) &&
    fits(packet.content);
}

function multiPortTest({ side, ranges, not }: MultiPort): Test {
  const has = (port: number) => ranges.some(({ from, to }) => port >= from && port <= to);
  return ({ packet }) => {
    if (packet.content === 'error') return false;
    const bySource = side !== 'dports' && has(packet.sourcePort);
    const byDestination = side !== 'sports' && has(packet.destinationPort);
    return (bySource || byDestination) !== not;
  };
}

function conntrackTest({ states, not }: Conntrack): Test {
  return ({ packet }) => states.some((state) => isInState(packet, state)) !== not;
}

/** SNAT and DNAT are states beside the others (xt_conntrack.c). */
function isInState({ stateToRules, connection }: Passage['packet'], wanted: ConntrackState): boolean {
  switch (wanted) {
    case 'SNAT':
      return connection?.isSourceNat ?? false;
    case 'DNAT':
      return connection?.isDestinationNat ?? false;
    default:
      return stateToRules === wanted.toLowerCase();
  }
}

/** Nothing ages during a walk, so `--seconds` always holds. */
function recentTest({ operation, list, not }: Recent): Test {
  const name = `recent ${list}`;
  return (passage) => {
    const seen = passage.list(name);
    const { text } = passage.packet.source;
    if (operation === 'set') {
      seen.add(text);
      return !not;
    }
    const known = seen.has(text);
    if (operation === 'remove') seen.delete(text);
    return known !== not;
  };
}
