import { Addr } from '../../ip/ip.ts';
import type { Bitwise, Ct, Meta, NftConstant, NftExpression, Payload } from '../../netfilter/netfilter.ts';
import { type Passage, Unmodelled } from '../passage.ts';
import type { Tuple } from '../tuple.ts';

/** What an expression yields; `undefined` ends the rule, as NFT_BREAK does in the kernel. */
export type Value = Addr | string | number | undefined;
export type Read = (passage: Passage) => Value;

/** Whole transport protocols by number, as sets and matches may name them either way. */
const PROTOCOLS: Readonly<Record<number, string>> = {
  1: 'icmp',
  6: 'tcp',
  17: 'udp',
  58: 'icmpv6',
  132: 'sctp',
};

/** The one spelling of a constant under which it is compared: what {@link Read} yields for the same thing. */
export function canonical(constant: NftConstant, isProtocol: boolean): Value {
  switch (constant.kind) {
    case 'AddressValue':
      return constant.addr;
    case 'NumberValue':
      return isProtocol ? (PROTOCOLS[constant.value] ?? constant.value) : constant.value;
    case 'Word':
      return constant.text;
    case 'PrefixValue':
    case 'RangeValue':
      return undefined;
  }
}

export const isConstant = (expression: NftExpression): expression is NftConstant =>
  expression.kind === 'AddressValue' ||
  expression.kind === 'NumberValue' ||
  expression.kind === 'Word' ||
  expression.kind === 'PrefixValue' ||
  expression.kind === 'RangeValue';

/** Whether an expression yields a transport protocol. */
export const isProtocol = (expression: NftExpression): boolean =>
  (expression.kind === 'Meta' && expression.key === 'l4proto') ||
  (expression.kind === 'Payload' && (expression.field === 'protocol' || expression.field === 'nexthdr')) ||
  (expression.kind === 'Ct' && expression.key === 'protocol');

/** Turns an expression of one value into a function of the passage; concatenations and lookups are the caller's. */
export function reader(expression: NftExpression): Read {
  switch (expression.kind) {
    case 'Payload':
      return payload(expression);
    case 'Meta':
      return meta(expression);
    case 'Ct':
      return ct(expression);
    case 'Fib':
      return fib(expression.flags, expression.result);
    case 'Numgen': {
      const { mod, offset } = expression;
      return ({ choices, stack }) => choices.uniform(mod, stack.name) + offset;
    }
    case 'Bitwise':
      return bitwise(expression);
    case 'AddressValue':
    case 'NumberValue':
    case 'Word': {
      const value = canonical(expression, false);
      return () => value;
    }
    case 'UnmodelledExpression':
      return unmodelled(`the expression '${expression.name}'`);
    default:
      return unmodelled(`a ${expression.kind} in this place`);
  }
}

function unmodelled(what: string): Read {
  return () => {
    throw new Unmodelled(`${what} is not modelled`);
  };
}

function payload({ protocol, field }: Payload): Read {
  switch (protocol) {
    case 'ip':
    case 'ip6':
      return network(protocol === 'ip' ? 4 : 6, field);
    case 'tcp':
    case 'udp':
    case 'sctp':
    case 'th':
      return transport(protocol, field);
    default:
      return unmodelled(`'${protocol} ${field}'`);
  }
}

/** A packet of the other family has no such header. */
function network(family: 4 | 6, field: string): Read {
  switch (field) {
    case 'saddr':
      return ({ packet }) => (packet.source.family === family ? packet.source : undefined);
    case 'daddr':
      return ({ packet }) => (packet.destination.family === family ? packet.destination : undefined);
    case 'protocol':
    case 'nexthdr':
      return ({ packet }) => (packet.source.family === family ? protocolOf(packet) : undefined);
    default:
      return unmodelled(`'${family === 4 ? 'ip' : 'ip6'} ${field}'`);
  }
}

const protocolOf = (packet: Passage['packet']): string =>
  packet.content === 'error' ? (packet.source.family === 4 ? 'icmp' : 'icmpv6') : packet.protocol;

function transport(protocol: string, field: string): Read {
  const isSource = field === 'sport';
  if (!isSource && field !== 'dport') return unmodelled(`'${protocol} ${field}'`);
  return ({ packet }) => {
    if (packet.content === 'error') return protocol === 'th' ? errorWord(packet, isSource) : undefined;
    if (protocol !== 'th' && packet.protocol !== protocol) return undefined;
    return isSource ? packet.sourcePort : packet.destinationPort;
  };
}

/**
 * `th` reads the same bytes of every header: of an ICMP error its type and code, and the checksum, which is taken to be none
 * of the numbers that rules ask for.
 */
function errorWord({ quote, family }: Passage['packet'], isSource: boolean): number {
  if (!isSource || quote === undefined) return -1;
  // Destination unreachable, by RFC 792 and RFC 4443.
  const codes =
    family === 4 ? { net: 0, host: 1, port: 3, prohibited: 10 } : { net: 0, prohibited: 1, host: 3, port: 4 };
  return (family === 4 ? 0x300 : 0x100) + codes[quote.code];
}

function meta({ key }: Meta): Read {
  switch (key) {
    case 'mark':
      return ({ packet }) => packet.mark;
    case 'l4proto':
      return ({ packet }) => protocolOf(packet);
    case 'nfproto':
      return ({ packet }) => (packet.source.family === 4 ? 'ipv4' : 'ipv6');
    // Without such an interface the name is empty (nft_meta_store_ifname in net/netfilter/nft_meta.c).
    case 'iif':
    case 'iifname':
      return ({ input }) => input?.name ?? '';
    case 'oif':
    case 'oifname':
      return ({ output }) => output?.name ?? '';
    default:
      return unmodelled(`'meta ${key}'`);
  }
}

function ct({ key, direction }: Ct): Read {
  if (direction !== undefined || key.includes('addr')) return ctTuple(key, direction);
  switch (key) {
    case 'state':
      return ({ packet }) => packet.stateToRules;
    case 'mark':
      return ({ packet }) => packet.connection?.mark;
    case 'direction':
      return ({ packet }) => packet.connection && (packet.isReply ? 'reply' : 'original');
    case 'protocol':
      return ({ packet }) => packet.connection?.protocol;
    default:
      return unmodelled(`'ct ${key}'`);
  }
}

function ctTuple(key: string, direction: Ct['direction']): Read {
  const field = TUPLE_FIELDS[key];
  if (field === undefined || direction === undefined) return unmodelled(`'ct ${direction ?? ''} ${key}'`);
  return ({ packet }) => packet.connection?.[direction][field];
}

const TUPLE_FIELDS: Readonly<Record<string, keyof Tuple>> = {
  saddr: 'source',
  'ip saddr': 'source',
  'ip6 saddr': 'source',
  daddr: 'destination',
  'ip daddr': 'destination',
  'ip6 daddr': 'destination',
  'proto-src': 'sourcePort',
  'proto-dst': 'destinationPort',
};

function fib(flags: readonly string[], result: string): Read {
  const [flag] = flags;
  if (result !== 'type' || flags.length !== 1) return unmodelled(`'fib ${flags.join(' . ')} ${result}'`);
  if (flag === 'daddr') return ({ stack, packet }) => stack.routing.typeOf(packet.destination);
  if (flag === 'saddr') return ({ stack, packet }) => stack.routing.typeOf(packet.source);
  return unmodelled(`'fib ${flag} type'`);
}

function bitwise({ operator, left, right }: Bitwise): Read {
  const [a, b] = [reader(left), reader(right)];
  const apply = BITWISE[operator];
  return (passage) => {
    const [x, y] = [a(passage), b(passage)];
    return typeof x === 'number' && typeof y === 'number' ? apply(x, y) >>> 0 : undefined;
  };
}

const BITWISE: Readonly<Record<Bitwise['operator'], (a: number, b: number) => number>> = {
  '&': (a, b) => a & b,
  '|': (a, b) => a | b,
  '^': (a, b) => a ^ b,
};

/** Flags that hold at once, which a single word is tested against: `ct status dnat`. */
export function hasStatus({ packet: { connection } }: Passage, flag: string): boolean {
  if (connection === undefined) return false;
  switch (flag) {
    case 'dnat':
      return connection.isDestinationNat;
    case 'snat':
      return connection.isSourceNat;
    case 'confirmed':
      return connection.confirmed;
    case 'seen-reply':
      return connection.seenReply;
    default:
      throw new Unmodelled(`'ct status ${flag}' is not modelled`);
  }
}

export const textOf = (value: Addr | string | number): string =>
  value instanceof Addr ? value.text : String(value);
