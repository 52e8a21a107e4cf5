import { Addr } from '../../ip/ip.ts';
import {
  Accept,
  type Dnat,
  Drop,
  type Mangle,
  type Match,
  type NftExpression,
  type NftRule,
  type NftStatement,
  type NftVerdict,
  printNftRule,
  type Redirect,
  type SetUpdate,
  type Snat,
  type VerdictMap,
} from '../../netfilter/netfilter.ts';
import { applyDestinationNat, applyMasquerade, applyNotrack, applyRedirect, applySourceNat } from '../nat.ts';
import type { Reason } from '../outcome.ts';
import { type Passage, Unmodelled } from '../passage.ts';
import { type SetIndex, within } from './set.ts';
import {
  canonical,
  hasStatus,
  isConstant,
  isProtocol,
  type Read,
  reader,
  textOf,
  type Value,
} from './value.ts';

/** The table a rule is compiled in. */
export interface RuleContext {
  /** Where the rule stands, for quoting. */
  readonly title: string;
  readonly dropReason: Reason;
  readonly sets: ReadonlyMap<string, SetIndex>;
}

/** What a statement does to the rule: go on, end it without a match, or end the chain. */
type Act = (passage: Passage) => 'next' | 'break' | NftVerdict;
type ReadAll = (passage: Passage) => readonly Value[];

const ACCEPT = Accept();
const DROP = Drop();

/** A rule as functions, one a statement; what it did is noted with its text. */
export class CompiledRule {
  readonly #table: RuleContext;
  readonly #chain: string;
  readonly #rule: NftRule;
  readonly #acts: readonly Act[];
  #text: string | undefined;

  constructor(table: RuleContext, chain: string, rule: NftRule) {
    this.#table = table;
    this.#chain = chain;
    this.#rule = rule;
    const compiler = new StatementCompiler(table);
    this.#acts = rule.statements.map((statement) => compiler.compile(statement));
  }

  /** `undefined` if the rule does not match or says nothing of where to go on. */
  run(passage: Passage): NftVerdict | undefined {
    let verdict: NftVerdict | undefined;
    let at = 0;
    try {
      for (; at < this.#acts.length; at++) {
        const result = this.#acts[at]?.(passage) ?? 'next';
        if (result === 'next') continue;
        if (result !== 'break') verdict = result;
        break;
      }
    } catch (error) {
      if (error instanceof Unmodelled && this.#isIdleAfter(at, passage)) return undefined;
      if (error instanceof Unmodelled) throw error.in(this.text, this.#rule.place);
      throw error;
    }
    if (verdict === undefined && passage.changes.length === 0) return undefined;
    if (verdict?.kind === 'Drop') passage.reason ??= this.#table.dropReason;
    passage.note('rule', wordOf(verdict, passage), this.text, this.#rule.place);
    return verdict;
  }

  /** Whether the rule does nothing, however its test that is not modelled comes out: another fails, or nothing follows. */
  #isIdleAfter(at: number, passage: Passage): boolean {
    const { statements } = this.#rule;
    const unknown = statements[at];
    if (unknown === undefined || !isTest(unknown)) return false;
    const rest = statements.slice(at + 1);
    if (rest.every(onlyTells)) return true;
    return rest.some((one, index) => one.kind === 'Match' && fails(this.#acts[at + 1 + index], passage));
  }

  get text(): string {
    this.#text ??= `${this.#table.title} ${this.#chain}: ${printNftRule(this.#rule)}`;
    return this.#text;
  }
}

function wordOf(verdict: NftVerdict | undefined, { refusal }: Passage): string {
  if (verdict === undefined) return 'rewrite';
  if (verdict.kind === 'Drop') return refusal === undefined ? 'drop' : 'reject';
  const word = verdict.kind.toLowerCase();
  return verdict.kind === 'Jump' || verdict.kind === 'Goto' ? `${word} ${verdict.chain}` : word;
}

/** Of the statements that are not modelled, those that let a packet pass to the next one or end the rule. */
const TESTS: ReadonlySet<string> = new Set(['limit', 'quota', 'ct count', 'xt']);

const isTest = (statement: NftStatement): boolean =>
  statement.kind === 'Match' || (statement.kind === 'UnmodelledStatement' && TESTS.has(statement.name));

/** Statements that only tell somebody. */
const onlyTells = (statement: NftStatement): boolean =>
  statement.kind === 'Counter' || (statement.kind === 'UnmodelledStatement' && statement.name === 'log');

function fails(act: Act | undefined, passage: Passage): boolean {
  try {
    return act?.(passage) === 'break';
  } catch (error) {
    if (error instanceof Unmodelled) return false;
    throw error;
  }
}

class StatementCompiler {
  readonly #table: RuleContext;

  constructor(table: RuleContext) {
    this.#table = table;
  }

  compile(statement: NftStatement): Act {
    switch (statement.kind) {
      case 'Accept':
      case 'Drop':
      case 'Return':
      case 'Jump':
      case 'Goto':
        return () => statement;
      case 'Counter':
        return () => 'next';
      case 'Match':
        return this.#match(statement);
      case 'VerdictMap':
        return this.#verdictMap(statement);
      case 'Reject': {
        const refusal = statement.with === 'tcp reset' ? 'reset' : 'port';
        return (passage) => {
          passage.refusal = refusal;
          passage.reason = 'rejectedByRule';
          return DROP;
        };
      }
      case 'Dnat':
      case 'Snat':
        return this.#nat(statement);
      case 'Masquerade':
        return (passage) => (applyMasquerade(passage) === 'drop' ? DROP : ACCEPT);
      case 'Redirect':
        return this.#redirect(statement);
      case 'Notrack':
        return (passage) => {
          applyNotrack(passage);
          return 'next';
        };
      case 'Mangle':
        return this.#mangle(statement);
      case 'SetUpdate':
        return this.#setUpdate(statement);
      case 'UnmodelledStatement':
        if (onlyTells(statement)) return () => 'next';
        return () => {
          throw new Unmodelled(`the statement '${statement.name}' is not modelled`);
        };
    }
  }

  #set(name: string): SetIndex {
    const set = this.#table.sets.get(name);
    if (set === undefined) throw new Unmodelled(`${this.#table.title} has no set '${name}'`);
    return set;
  }

  #listName(set: string): string {
    return `${this.#table.title} ${set}`;
  }

  /** All the values of an expression side by side. */
  #readAll(expression: NftExpression): ReadAll {
    if (expression.kind === 'Lookup') return this.#lookup(expression.key, expression.map.name);
    if (expression.kind !== 'Concat') {
      const read = reader(expression);
      return (passage) => [read(passage)];
    }
    const reads = expression.of.map((part) => reader(part));
    return (passage) => reads.map((read) => read(passage));
  }

  #lookup(key: NftExpression, map: string): ReadAll {
    const read = this.#readAll(key);
    const set = this.#set(map);
    return (passage) => {
      const held = set.find(read(passage));
      return Array.isArray(held) ? held : [undefined];
    };
  }

  #match({ left, operator, right }: Match): Act {
    const test = this.#test(left, right, operator);
    const not = operator === '!=';
    return (passage) => {
      const result = test(passage);
      return result === undefined || result === not ? 'break' : 'next';
    };
  }

  /** `undefined` where the packet has no such thing, which no operator turns round. */
  #test(
    left: NftExpression,
    right: NftExpression,
    operator: Match['operator'],
  ): (passage: Passage) => boolean | undefined {
    if (right.kind === 'SetReference') return this.#member(left, right.name);
    if (left.kind === 'Ct' && left.key === 'status') {
      const flags = wordsOf(right);
      return (passage) => flags.some((flag) => hasStatus(passage, flag));
    }
    if (right.kind === 'AnonymousSet') return this.#anyOf(left, right.elements);
    const read = this.#one(left);
    if (operator === '<' || operator === '>' || operator === '<=' || operator === '>=') {
      return ordered(read, operator, reader(right));
    }
    if (!isConstant(right)) {
      const other = this.#one(right);
      return (passage) => same(read(passage), other(passage));
    }
    return equals(read, right, isProtocol(left));
  }

  #one(expression: NftExpression): Read {
    const read = this.#readAll(expression);
    if (expression.kind !== 'Concat' && expression.kind !== 'Lookup') return reader(expression);
    return (passage) => {
      const values = read(passage);
      return values.length === 1 ? values[0] : values.map((value) => textOf(value ?? '')).join(' . ');
    };
  }

  #member(left: NftExpression, name: string): (passage: Passage) => boolean | undefined {
    const read = this.#readAll(left);
    const set = this.#set(name);
    const list = this.#listName(name);
    return (passage) => {
      const values = read(passage);
      if (values.includes(undefined)) return undefined;
      if (set.find(values) !== undefined) return true;
      return set.isDynamic && passage.list(list).has(keyText(values));
    };
  }

  #anyOf(left: NftExpression, elements: readonly NftExpression[]): (passage: Passage) => boolean | undefined {
    const read = this.#readAll(left);
    const parts = left.kind === 'Concat' ? left.of : [left];
    const keys = elements.map((element) => {
      const constants = element.kind === 'Concat' ? element.of : [element];
      return constants.map((constant, at) => testOf(constant, parts[at]));
    });
    return (passage) => {
      const values = read(passage);
      if (values.includes(undefined)) return undefined;
      return keys.some((key) => key.every((test, at) => test(values[at])));
    };
  }

  #verdictMap({ key, verdicts }: VerdictMap): Act {
    const read = this.#readAll(key);
    if (verdicts.kind === 'SetReference') {
      const set = this.#set(verdicts.name);
      return (passage) => {
        const held = set.find(read(passage));
        return held === undefined || held === true || Array.isArray(held) ? 'next' : (held as NftVerdict);
      };
    }
    const parts = key.kind === 'Concat' ? key.of : [key];
    const entries = verdicts.entries.map(([one, verdict]) => {
      const constants = one.kind === 'Concat' ? one.of : [one];
      return { tests: constants.map((constant, at) => testOf(constant, parts[at])), verdict };
    });
    return (passage) => {
      const values = read(passage);
      const found = entries.find(({ tests }) => tests.every((test, at) => test(values[at])));
      return found?.verdict ?? 'next';
    };
  }

  #nat(statement: Dnat | Snat): Act {
    const readTo = this.#readAll(statement.to);
    const readPort = statement.port === undefined ? undefined : reader(statement.port);
    const isDestination = statement.kind === 'Dnat';
    return (passage) => {
      const [addr, paired] = readTo(passage);
      if (!(addr instanceof Addr)) return 'break';
      const { packet } = passage;
      const own = isDestination ? packet.destinationPort : packet.sourcePort;
      const port = asPort(readPort?.(passage) ?? paired ?? own);
      if (isDestination) applyDestinationNat(passage, addr, port);
      else applySourceNat(passage, addr, port);
      return ACCEPT;
    };
  }

  #redirect({ port }: Redirect): Act {
    const read = port === undefined ? undefined : reader(port);
    return (passage) => {
      const to = asPort(read?.(passage) ?? passage.packet.destinationPort);
      return applyRedirect(passage, to) === 'drop' ? DROP : ACCEPT;
    };
  }

  #mangle({ key, value }: Mangle): Act {
    const read = this.#one(value);
    const set =
      key.kind === 'Meta' && key.key === 'mark'
        ? (passage: Passage, mark: number) => passage.setMark(mark)
        : key.kind === 'Ct' && key.key === 'mark' && key.direction === undefined
          ? (passage: Passage, mark: number) => passage.setConnectionMark(mark)
          : undefined;
    // Tracing and queueing change nothing of where a packet goes.
    if (key.kind === 'Meta' && (key.key === 'nftrace' || key.key === 'priority')) return () => 'next';
    // Nor do options of TCP, such as the largest segment.
    if (key.kind === 'UnmodelledExpression' && key.name === 'tcp option') return () => 'next';
    return (passage) => {
      if (set === undefined) throw new Unmodelled(`setting a ${key.kind} is not modelled`);
      const mark = read(passage);
      if (typeof mark !== 'number') return 'break';
      set(passage, mark);
      return 'next';
    };
  }

  #setUpdate({ operation, set, element }: SetUpdate): Act {
    const read = this.#readAll(element);
    const list = this.#listName(set.name);
    return (passage) => {
      const key = keyText(read(passage));
      if (operation === 'delete') passage.list(list).delete(key);
      else passage.list(list).add(key);
      return 'next';
    };
  }
}

const keyText = (values: readonly Value[]): string => values.map((value) => textOf(value ?? '')).join(' . ');

function wordsOf(expression: NftExpression): string[] {
  if (expression.kind === 'AnonymousSet') return expression.elements.flatMap(wordsOf);
  return expression.kind === 'Word' ? [expression.text] : [`(${expression.kind})`];
}

/** A constant's test of one value, whatever it is read from. */
function testOf(constant: NftExpression, from: NftExpression | undefined): (value: Value) => boolean {
  if (!isConstant(constant)) {
    return () => {
      throw new Unmodelled(`a ${constant.kind} in a set is not modelled`);
    };
  }
  if (constant.kind === 'NumberValue' && from !== undefined && isProtocol(from)) {
    const name = canonical(constant, true);
    return (value) => value === name;
  }
  return within(constant);
}

function equals(
  read: Read,
  right: Parameters<typeof within>[0],
  protocol: boolean,
): (passage: Passage) => boolean | undefined {
  const test =
    right.kind === 'NumberValue' && protocol
      ? (value: Value) => value === canonical(right, true)
      : within(right);
  return (passage) => {
    const value = read(passage);
    return value === undefined ? undefined : test(value);
  };
}

function asPort(value: Exclude<Value, undefined>): number {
  if (typeof value !== 'number') throw new Unmodelled(`'${textOf(value)}' as a port is not modelled`);
  return value;
}

function same(a: Value, b: Value): boolean | undefined {
  return a === undefined || b === undefined ? undefined : textOf(a) === textOf(b);
}

function ordered(
  read: Read,
  operator: '<' | '>' | '<=' | '>=',
  other: Read,
): (passage: Passage) => boolean | undefined {
  return (passage) => {
    const [a, b] = [read(passage), other(passage)];
    if (typeof a !== 'number' || typeof b !== 'number') return undefined;
    if (operator === '<') return a < b;
    if (operator === '>') return a > b;
    return operator === '<=' ? a <= b : a >= b;
  };
}
