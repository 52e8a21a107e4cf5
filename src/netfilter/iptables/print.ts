import type { IptablesMatch, IptablesRule, IptablesTarget, PortRange, TcpFlags } from './rule.ts';
import type { IptablesChain, IptablesRuleset, IptablesTable } from './ruleset.ts';

/** The whole as iptables-restore takes it, in the form iptables-save prints (without its comments and counters). */
export function printIptablesRuleset(ruleset: IptablesRuleset): string {
  return [...ruleset.tables.values()].map(printIptablesTable).join('');
}

export function printIptablesTable(table: IptablesTable): string {
  const chains = [...table.chains.values()];
  const lines = [
    `*${table.name}`,
    ...chains.map(printChainLine),
    ...chains.flatMap((chain) => chain.rules.map((rule) => `-A ${chain.name} ${printIptablesRule(rule)}`)),
    'COMMIT',
  ];
  return `${lines.join('\n')}\n`;
}

/** Declares a chain; with `--noflush`, iptables-restore empties a chain that is declared. */
export const printChainLine = (chain: Pick<IptablesChain, 'name' | 'policy'>): string =>
  `:${chain.name} ${chain.policy ?? '-'} [0:0]`;

/** A rule without `-A CHAIN` before it. */
export function printIptablesRule(rule: IptablesRule): string {
  const words = rule.matches.map(printMatch);
  if (rule.target !== undefined) words.push(printTarget(rule.target));
  return words.join(' ');
}

/** The ipvs match prints protocols by number (IANA). */
export const PROTOCOL_NUMBERS = { TCP: 6, UDP: 17, SCTP: 132 } as const;

const unless = (not: boolean): string => (not ? '! ' : '');

function printMatch(match: IptablesMatch): string {
  switch (match.kind) {
    case 'Source':
      return `${unless(match.not)}-s ${match.prefix.text}`;
    case 'Destination':
      return `${unless(match.not)}-d ${match.prefix.text}`;
    case 'InInterface':
      return `${unless(match.not)}-i ${match.name}`;
    case 'OutInterface':
      return `${unless(match.not)}-o ${match.name}`;
    case 'IpProtocol':
      return `${unless(match.not)}-p ${match.protocol}`;
    case 'Comment':
      return `-m comment --comment ${quoteWord(match.text)}`;
    case 'TransportPorts':
      return [
        `-m ${match.module}`,
        ...(match.source === undefined ? [] : [printPorts('--sport', match.source)]),
        ...(match.destination === undefined ? [] : [printPorts('--dport', match.destination)]),
        ...(match.flags === undefined ? [] : [printFlags(match.flags)]),
      ].join(' ');
    case 'AddrType':
      return `-m addrtype ${unless(match.not)}--${match.side}-type ${match.type}`;
    case 'Conntrack':
      if (match.module === 'state') return `-m state ${unless(match.not)}--state ${match.states.join(',')}`;
      return `-m conntrack ${unless(match.not)}--ctstate ${match.states.join(',')}`;
    case 'ConntrackEnd': {
      const option = `ct${match.direction === 'original' ? 'orig' : 'repl'}${match.side === 'source' ? 'src' : 'dst'}`;
      // It prints an address alone where the prefix holds just that.
      const prefix = match.prefix.isHost ? match.prefix.addr.text : match.prefix.text;
      return `-m conntrack ${unless(match.not)}--${option} ${prefix}`;
    }
    case 'MultiPort':
      return `-m multiport ${unless(match.not)}--${match.side} ${match.ranges.map(printRange).join(',')}`;
    case 'Mark':
      return `-m mark ${unless(match.not)}--mark ${printMarkWithMask(match.value, match.mask)}`;
    case 'Statistic':
      return `-m statistic --mode random --probability ${match.probability.toFixed(11)}`;
    case 'Recent': {
      const seconds = match.seconds === undefined ? '' : ` --seconds ${match.seconds}`;
      const head = `-m recent ${unless(match.not)}--${match.operation}${seconds}${match.reap ? ' --reap' : ''}`;
      return `${head} --name ${match.list} --rsource`;
    }
    case 'MatchSet':
      return `-m set ${unless(match.not)}--match-set ${match.set} ${match.fields.join(',')}`;
    case 'BridgeInput':
      return `-m physdev ${unless(match.not)}--physdev-is-in`;
    case 'BalancedTo': {
      const { addr, port } = match.virtual;
      return `-m ipvs --vproto ${PROTOCOL_NUMBERS[match.protocol]} --vaddr ${addr.text} --vport ${port}`;
    }
    case 'UnmodelledMatch':
      return match.words.map(quoteWord).join(' ');
  }
}

const printPorts = (option: string, ports: PortRange): string =>
  `${unless(ports.not)}${option} ${printRange(ports)}`;

const printFlags = ({ among, set, not }: TcpFlags): string =>
  `${unless(not)}--tcp-flags ${among.join(',')} ${set.length === 0 ? 'NONE' : set.join(',')}`;

const printRange = ({ from, to }: Omit<PortRange, 'not'>): string =>
  from === to ? `${from}` : `${from}:${to}`;

const hex = (value: number): string => `0x${value.toString(16)}`;

/** iptables-save leaves out a mask of all ones. */
const printMarkWithMask = (value: number, mask: number): string =>
  mask === 0xffffffff ? hex(value) : `${hex(value)}/${hex(mask)}`;

function printTarget(target: IptablesTarget): string {
  switch (target.kind) {
    case 'JumpTo':
      return `-j ${target.chain}`;
    case 'GotoChain':
      return `-g ${target.chain}`;
    case 'AcceptPacket':
      return '-j ACCEPT';
    case 'DropPacket':
      return '-j DROP';
    case 'ReturnToCaller':
      return '-j RETURN';
    case 'RejectWith':
      return `-j REJECT --reject-with ${target.with}`;
    case 'DnatTo':
      return `-j DNAT --to-destination ${target.to.text}`;
    case 'SnatTo':
      return `-j SNAT --to-source ${target.to.text}`;
    case 'MasqueradeTarget':
      return `-j MASQUERADE${target.randomFully ? ' --random-fully' : ''}`;
    case 'SetMark':
      return `-j MARK --set-xmark ${hex(target.value)}/${hex(target.mask)}`;
    case 'UnmodelledTarget':
      return `-j ${target.words.map(quoteWord).join(' ')}`;
  }
}

/** iptables-save quotes what is no plain word, and escapes quotes and backslashes inside. */
function quoteWord(word: string): string {
  if (/^[A-Za-z0-9_.:/+!,=-]+$/.test(word)) return word;
  return `"${word.replace(/["'\\]/g, '\\$&')}"`;
}
