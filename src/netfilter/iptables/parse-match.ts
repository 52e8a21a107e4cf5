import { Addr, Endpoint, Prefix, type Protocol, parsePort } from '../../ip/ip.ts';
import { PROTOCOL_NUMBERS } from './print.ts';
import {
  AddrType,
  BalancedTo,
  BridgeInput,
  Comment,
  Conntrack,
  ConntrackEnd,
  type ConntrackState,
  type IptablesMatch,
  Mark,
  MatchSet,
  MultiPort,
  type PortRange,
  Recent,
  Statistic,
  type TcpFlags,
  TransportPorts,
  UnmodelledMatch,
} from './rule.ts';

/** What `-m MODULE` and the words after it say; a form that is not modelled is kept as it is. */
export function parseMatch(module: string, words: readonly string[]): IptablesMatch {
  const [option, text] = words;
  // A comment is anybody's words: `!` and `--dport` are none of ours in it.
  if (module === 'comment' && option === '--comment' && text !== undefined) return Comment(text);
  return MODULES[module]?.(optionsOf(words)) ?? UnmodelledMatch(['-m', module, ...words]);
}

/** An option with what follows it, up to the next option. */
interface Option {
  readonly not: boolean;
  readonly name: string;
  readonly values: readonly string[];
}

function optionsOf(words: readonly string[]): Option[] {
  const options: { not: boolean; name: string; values: string[] }[] = [];
  let not = false;
  for (const word of words) {
    const last = options.at(-1);
    if (word === '!') not = true;
    else if (word.startsWith('--') || last === undefined) {
      options.push({ not, name: word, values: [] });
      not = false;
    } else last.values.push(word);
  }
  return options;
}

/** The single option of a match that has one, if it is `name` with `count` values. */
function only(options: readonly Option[], name: string, count = 1): Option | undefined {
  const [option] = options;
  return options.length === 1 && option?.name === name && option.values.length === count ? option : undefined;
}

/** Each gives undefined for a form it does not model. */
const MODULES: Readonly<Record<string, (options: readonly Option[]) => IptablesMatch | undefined>> = {
  tcp: (options) => transport('tcp', options),
  udp: (options) => transport('udp', options),
  sctp: (options) => transport('sctp', options),
  addrtype: (options) => {
    const option = only(options, '--src-type') ?? only(options, '--dst-type');
    return (
      option && AddrType(option.name === '--src-type' ? 'src' : 'dst', option.values[0] ?? '', option.not)
    );
  },
  conntrack: (options) => {
    const option = only(options, '--ctstate');
    if (option === undefined) return conntrackEnd(options);
    return Conntrack((option.values[0] ?? '').split(',') as ConntrackState[], option.not);
  },
  state: (options) => {
    const option = only(options, '--state');
    const states = (option?.values[0] ?? '').split(',') as ConntrackState[];
    return option && { ...Conntrack(states, option.not), module: 'state' };
  },
  multiport,
  mark: (options) => {
    const option = only(options, '--mark');
    const masked = parseMasked(option?.values[0]);
    return option && masked && Mark(masked.value, masked.mask, option.not);
  },
  statistic: (options) => {
    const [mode, probability] = options;
    if (options.length !== 2 || mode?.values[0] !== 'random' || probability?.not !== false) return undefined;
    return probability.name === '--probability' ? Statistic(Number(probability.values[0])) : undefined;
  },
  recent,
  set: (options) => {
    const option = only(options, '--match-set', 2);
    const [set = '', fields = ''] = option?.values ?? [];
    return option && MatchSet(set, fields.split(',') as ('src' | 'dst')[], option.not);
  },
  physdev: (options) => {
    const option = only(options, '--physdev-is-in', 0);
    return option && BridgeInput(option.not);
  },
  ipvs: balancedTo,
};

function balancedTo(options: readonly Option[]): BalancedTo | undefined {
  const values = new Map(options.map(({ name, values: [value] }) => [name, value]));
  const number = Number(values.get('--vproto'));
  const protocol = (['TCP', 'UDP', 'SCTP'] as Protocol[]).find((one) => PROTOCOL_NUMBERS[one] === number);
  const [addr, port] = [values.get('--vaddr'), values.get('--vport')];
  const known = options.length === 3 && options.every(({ not }) => !not);
  if (!known || protocol === undefined || addr === undefined || port === undefined) return undefined;
  if (!Addr.isAddr(addr)) return undefined;
  return BalancedTo(protocol, new Endpoint(Addr.parse(addr), parsePort(port)));
}

function transport(module: TransportPorts['module'], options: readonly Option[]): TransportPorts | undefined {
  const ports: { source?: PortRange; destination?: PortRange; flags?: TcpFlags } = {};
  for (const option of options) {
    const flags = module === 'tcp' && option.name === '--tcp-flags' ? flagsOf(option) : undefined;
    const range = rangeOf(option);
    if (flags !== undefined) ports.flags = flags;
    else if (option.name === '--sport' && range !== undefined) ports.source = range;
    else if (option.name === '--dport' && range !== undefined) ports.destination = range;
    else return undefined;
  }
  return TransportPorts(module, ports);
}

const FLAGS = ['FIN', 'SYN', 'RST', 'PSH', 'ACK', 'URG'] as const;

/** `--tcp-flags FIN,SYN,RST,ACK SYN`; ALL and NONE stand for lists, and iptables-save prints them as well. */
function flagsOf({ values, not }: Option): TcpFlags | undefined {
  const [among, set] = values.map((text) => {
    if (text === 'ALL') return FLAGS;
    return text === 'NONE' ? [] : text.split(',');
  });
  return values.length === 2 && among !== undefined && set !== undefined ? { among, set, not } : undefined;
}

function conntrackEnd(options: readonly Option[]): ConntrackEnd | undefined {
  const [option] = options;
  const [, direction, side] = /^--ct(orig|repl)(src|dst)$/.exec(option?.name ?? '') ?? [];
  const prefix = parsePrefix(option?.values[0] ?? '');
  if (option === undefined || options.length !== 1 || side === undefined || prefix === undefined)
    return undefined;
  return ConntrackEnd(
    direction === 'orig' ? 'original' : 'reply',
    side === 'src' ? 'source' : 'destination',
    prefix,
    option.not,
  );
}

function multiport(options: readonly Option[]): MultiPort | undefined {
  const [option] = options;
  const [, side] = /^--(sports|dports|ports)$/.exec(option?.name ?? '') ?? [];
  if (option === undefined || options.length !== 1 || side === undefined) return undefined;
  const ranges = (option.values[0] ?? '').split(',').map((one) => rangeOf({ ...option, values: [one] }));
  const known = ranges.filter((range) => range !== undefined);
  if (known.length !== ranges.length) return undefined;
  return MultiPort(
    side as MultiPort['side'],
    known.map(({ from, to }) => ({ from, to })),
    option.not,
  );
}

function rangeOf({ values, not }: Option): PortRange | undefined {
  const [from, to = from] = (values[0] ?? '').split(':').map(Number);
  if (from === undefined || to === undefined || Number.isNaN(from + to)) return undefined;
  return { from, to, not };
}

const OPERATIONS = {
  '--rcheck': 'rcheck',
  '--set': 'set',
  '--update': 'update',
  '--remove': 'remove',
} as const;

function recent(options: readonly Option[]): Recent | undefined {
  let [operation, not]: [Recent['operation'] | undefined, boolean] = [undefined, false];
  let list = 'DEFAULT';
  const rest: { seconds?: number; reap?: boolean } = {};
  for (const option of options) {
    if (option.name in OPERATIONS) {
      operation = OPERATIONS[option.name as keyof typeof OPERATIONS];
      not = option.not;
    } else if (option.name === '--name') list = option.values[0] ?? '';
    else if (option.name === '--seconds') rest.seconds = Number(option.values[0]);
    else if (option.name === '--reap') rest.reap = true;
    // The whole source address is what counts unless something else is said.
    else if (option.name !== '--rsource' && !isFullMask(option)) return undefined;
  }
  return operation && Recent(operation, list, { ...rest, not });
}

const isFullMask = ({ name, values }: Option): boolean =>
  name === '--mask' && /^(255\.255\.255\.255|ffff(:ffff){7})$/i.test(values[0] ?? '');

/** `0x4000/0x4000`, or a value alone for a mask of all ones. */
export function parseMasked(text: string | undefined): { value: number; mask: number } | undefined {
  const [value, mask = 0xffffffff] = (text ?? '').split('/').map(Number);
  return value === undefined || Number.isNaN(value + mask) ? undefined : { value, mask };
}

/** A prefix as iptables-save prints it: always with its length, or with a dotted mask where that is no prefix. */
export function parsePrefix(text: string): Prefix | undefined {
  const length = text.includes('/') ? '' : text.includes(':') ? '/128' : '/32';
  return /\/\d+\./.test(text) ? undefined : Prefix.parse(text + length);
}
