import type { NftExpression } from './expression.ts';
import type { NftChain, NftElement, NftKey, NftRule, NftRuleset, NftSet, NftTable } from './ruleset.ts';
import type { AnonymousVerdicts, Dnat, NftStatement, NftVerdict, Snat } from './statement.ts';

/** Elements printed on one command; the kernel takes a batch as a whole, nft's parser likes shorter lines. */
const ELEMENTS_PER_COMMAND = 2000;

/**
 * The whole ruleset as `nft -f` takes it: tables, then sets and chains, then rules, then elements, so that whatever is
 * named exists by then. It adds to what the kernel holds; to replace a table, delete it first in the same input.
 */
export function printNftRuleset(ruleset: NftRuleset): string {
  return ruleset.tables.map((table) => `${printNftTable(table).join('\n')}\n`).join('');
}

/** The commands that make a table that is not there yet. */
export function printNftTable(table: NftTable): string[] {
  const sets = [...table.sets.values()];
  const chains = [...table.chains.values()];
  return [
    `add table ${table.family} ${table.name}`,
    ...sets.map((set) => printAddSet(table, set)),
    ...chains.map((chain) => printAddChain(table, chain)),
    ...chains.flatMap((chain) => chain.rules.map((rule) => printAddRule(table, chain.name, rule))),
    ...sets.flatMap((set) => printElements('add', table, set.name, [...set.elements.values()])),
  ];
}

/** Where a command works: a table by family and name. */
export type TableName = Pick<NftTable, 'family' | 'name'>;

export function printAddChain(table: TableName, chain: NftChain): string {
  const name = `add chain ${table.family} ${table.name} ${chain.name}`;
  if (chain.base === undefined) return name;
  const { type, hook, priority, policy } = chain.base;
  return `${name} { type ${type} hook ${hook} priority ${priority}; policy ${policy}; }`;
}

/** Throws for a rule with parts that are not modelled: it belongs to somebody else's table. */
export function printAddRule(table: TableName, chain: string, rule: NftRule): string {
  const foreign = unmodelledPart(rule.statements);
  if (foreign !== undefined) throw new Error(`'${foreign}' is read, never written`);
  return `add rule ${table.family} ${table.name} ${chain} ${printNftRule(rule)}`;
}

/** The name of the first part that is not modelled. */
function unmodelledPart(part: unknown): string | undefined {
  if (typeof part !== 'object' || part === null) return undefined;
  if ('kind' in part && (part.kind === 'UnmodelledStatement' || part.kind === 'UnmodelledExpression')) {
    return 'name' in part ? String(part.name) : part.kind;
  }
  for (const value of Object.values(part)) {
    const found = unmodelledPart(value);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** A rule without the command before it, as `nft list` shows it; what is not modelled stands there as `nft -j` has it. */
export function printNftRule(rule: NftRule): string {
  const statements = rule.statements.map(printStatement).join(' ');
  return rule.comment === undefined ? statements : `${statements} comment ${quote(rule.comment)}`;
}

export function printAddSet(table: TableName, set: NftSet): string {
  const parts = [printSetType(set)];
  if (set.flags.length > 0) parts.push(`flags ${set.flags.join(',')};`);
  if (set.timeoutSeconds !== undefined) parts.push(`timeout ${set.timeoutSeconds}s;`);
  if (set.size !== undefined && set.size > 0) parts.push(`size ${set.size};`);
  const word = set.value === undefined ? 'set' : 'map';
  return `add ${word} ${table.family} ${table.name} ${set.name} { ${parts.join(' ')} }`;
}

/** nft has no name for numgen's integers, so a set that holds one says its types by example. */
function printSetType(set: NftSet): string {
  const value = set.value === undefined || set.value === 'verdict' ? [] : set.value;
  const byExample = [...set.key, ...value].includes('integer');
  const example = (type: string) =>
    type === 'inet_service' ? `${set.transport ?? 'tcp'} dport` : (EXAMPLES[type] ?? type);
  const print = (types: readonly string[]) =>
    types.map((type) => (byExample ? example(type) : type)).join(' . ');
  const mapped =
    set.value === undefined ? '' : ` : ${set.value === 'verdict' ? 'verdict' : print(set.value)}`;
  return `${byExample ? 'typeof' : 'type'} ${print(set.key)}${mapped};`;
}

const EXAMPLES: Readonly<Record<string, string>> = {
  ipv4_addr: 'ip daddr',
  ipv6_addr: 'ip6 daddr',
  inet_proto: 'meta l4proto',
  mark: 'meta mark',
  ifname: 'iifname',
  integer: 'numgen random mod 2',
};

/** Adds or deletes elements; a deletion names the keys alone. */
export function printElements(
  verb: 'add' | 'delete',
  table: TableName,
  set: string,
  elements: readonly NftElement[],
): string[] {
  const lines: string[] = [];
  for (let at = 0; at < elements.length; at += ELEMENTS_PER_COMMAND) {
    const some = elements
      .slice(at, at + ELEMENTS_PER_COMMAND)
      .map((one) => (verb === 'add' ? printNftElement(one) : printNftKey(one.key)));
    lines.push(`${verb} element ${table.family} ${table.name} ${set} { ${some.join(', ')} }`);
  }
  return lines;
}

export function printNftElement(element: NftElement): string {
  if (element.value === undefined) return printNftKey(element.key);
  return `${printNftKey(element.key)} : ${printValue(element.value)}`;
}

function printValue(value: NftVerdict | NftKey): string {
  switch (value.kind) {
    case 'Accept':
    case 'Drop':
    case 'Return':
    case 'Jump':
    case 'Goto':
      return printVerdict(value);
    default:
      return printExpression(value);
  }
}

/** A key's canonical text: what stands in an element command, and the key of {@link NftSet}'s elements. */
export function printNftKey(key: NftKey): string {
  return printExpression(key);
}

function printStatement(statement: NftStatement): string {
  switch (statement.kind) {
    case 'Match': {
      const operator =
        statement.operator === '==' || statement.operator === 'in' ? '' : `${statement.operator} `;
      const explicit = statement.left.kind === 'Bitwise' && operator === '' ? '== ' : operator;
      return `${printExpression(statement.left)} ${explicit}${printOperand(statement.right)}`;
    }
    case 'VerdictMap': {
      const { verdicts } = statement;
      const map = verdicts.kind === 'SetReference' ? `@${verdicts.name}` : printVerdicts(verdicts);
      return `${printExpression(statement.key)} vmap ${map}`;
    }
    case 'Reject':
      return statement.with === 'tcp reset' ? 'reject with tcp reset' : 'reject';
    case 'Dnat':
      return `dnat ${printNat(statement)}`;
    case 'Snat':
      return `snat ${printNat(statement)}`;
    case 'Masquerade':
      return statement.fullyRandom ? 'masquerade fully-random' : 'masquerade';
    case 'Redirect':
      return statement.port === undefined ? 'redirect' : `redirect to :${printExpression(statement.port)}`;
    case 'Notrack':
      return 'notrack';
    case 'Mangle':
      return `${printExpression(statement.key)} set ${printExpression(statement.value)}`;
    case 'SetUpdate':
      return `${statement.operation} @${statement.set.name} { ${printExpression(statement.element)} }`;
    case 'Counter':
      return 'counter';
    case 'UnmodelledStatement':
      return JSON.stringify(statement.json);
    default:
      return printVerdict(statement);
  }
}

function printVerdicts(verdicts: AnonymousVerdicts): string {
  const entries = verdicts.entries.map(
    ([key, verdict]) => `${printExpression(key)} : ${printVerdict(verdict)}`,
  );
  return `{ ${entries.join(', ')} }`;
}

function printVerdict(verdict: NftVerdict): string {
  switch (verdict.kind) {
    case 'Accept':
      return 'accept';
    case 'Drop':
      return 'drop';
    case 'Return':
      return 'return';
    case 'Jump':
      return `jump ${verdict.chain}`;
    case 'Goto':
      return `goto ${verdict.chain}`;
  }
}

/** A lookup does not say its family, so `ip to` does; an IPv6 address before a port stands in brackets. */
function printNat(nat: Dnat | Snat): string {
  const family = nat.family === undefined ? '' : `${nat.family} `;
  const to = printExpression(nat.to);
  if (nat.port === undefined) return `${family}to ${to}`;
  const host = nat.to.kind === 'AddressValue' && nat.to.addr.family === 6 ? `[${to}]` : to;
  return `${family}to ${host}:${printExpression(nat.port)}`;
}

function printOperand(operand: NftExpression): string {
  // Interface names may hold characters that nft's words may not; quoting them is always right.
  if (operand.kind === 'Word' && !/^[a-z][a-z0-9-]*$/.test(operand.text)) return quote(operand.text);
  return printExpression(operand);
}

function printExpression(expression: NftExpression): string {
  switch (expression.kind) {
    case 'Payload':
      return `${expression.protocol} ${expression.field}`;
    case 'Meta':
      return BARE_META.has(expression.key) ? expression.key : `meta ${expression.key}`;
    case 'Ct':
      return expression.direction === undefined
        ? `ct ${expression.key}`
        : `ct ${expression.direction} ${expression.key}`;
    case 'Fib':
      return `fib ${expression.flags.join(' . ')} ${expression.result}`;
    case 'Numgen': {
      const { mode, mod, offset } = expression;
      return `numgen ${mode} mod ${mod}${offset === 0 ? '' : ` offset ${offset}`}`;
    }
    case 'Concat':
      return expression.of.map(printExpression).join(' . ');
    case 'Bitwise':
      return `${printExpression(expression.left)} ${expression.operator} ${printMask(expression.right)}`;
    case 'Lookup':
      return `${printExpression(expression.key)} map @${expression.map.name}`;
    case 'NumberValue':
      return String(expression.value);
    case 'AddressValue':
      return expression.addr.text;
    case 'PrefixValue':
      return expression.prefix.text;
    case 'RangeValue':
      return `${printExpression(expression.from)}-${printExpression(expression.to)}`;
    case 'Word':
      return expression.text;
    case 'SetReference':
      return `@${expression.name}`;
    case 'AnonymousSet':
      return `{ ${expression.elements.map(printOperand).join(', ')} }`;
    case 'UnmodelledExpression':
      return JSON.stringify(expression.json);
  }
}

const BARE_META: ReadonlySet<string> = new Set(['iifname', 'oifname', 'iif', 'oif', 'iiftype', 'oiftype']);

const printMask = (mask: NftExpression): string =>
  mask.kind === 'NumberValue' ? `0x${mask.value.toString(16)}` : printExpression(mask);

/** nft strings have no escapes, so a quote cannot stand in one. */
const quote = (text: string): string => `"${text.replaceAll('"', "'")}"`;
