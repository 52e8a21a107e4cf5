import { Fault } from '../../fault/fault.ts';
import { Addr, Prefix } from '../../ip/ip.ts';
import {
  AddressValue,
  AnonymousSet,
  Bitwise,
  Concat,
  Ct,
  Fib,
  Lookup,
  Meta,
  type NftConstant,
  type NftExpression,
  NumberValue,
  Numgen,
  Payload,
  PrefixValue,
  RangeValue,
  SetReference,
  UnmodelledExpression,
  Word,
} from './expression.ts';
import { asArray, asNumber, asObject, asText, isObject, type JsonObject } from './json.ts';
import type { NftKey } from './ruleset.ts';
import {
  Accept,
  AnonymousVerdicts,
  Counter,
  Dnat,
  Drop,
  Goto,
  Jump,
  Mangle,
  Masquerade,
  Match,
  type NftStatement,
  type NftVerdict,
  Notrack,
  Redirect,
  Reject,
  Return,
  SetUpdate,
  Snat,
  UnmodelledStatement,
  VerdictMap,
} from './statement.ts';

/** One statement of a rule as `nft -j` prints it. */
export function parseStatement(json: unknown): NftStatement {
  const [name = '', body] = onlyEntry(json);
  const verdict = parseVerdict(json);
  if (verdict !== undefined) return verdict;
  const parse = STATEMENTS[name];
  return parse?.(isObject(body) ? body : {}) ?? UnmodelledStatement(name, json);
}

/** The verdict, or undefined if it is something else. */
export function parseVerdict(json: unknown): NftVerdict | undefined {
  if (!isObject(json)) return undefined;
  const [name, body] = onlyEntry(json);
  switch (name) {
    case 'accept':
      return Accept();
    case 'drop':
      return Drop();
    case 'return':
      return Return();
    case 'jump':
      return Jump(asText(asObject(body).target));
    case 'goto':
      return Goto(asText(asObject(body).target));
    default:
      return undefined;
  }
}

/** Each gives undefined for a form it does not model. */
const STATEMENTS: Readonly<Record<string, (body: JsonObject) => NftStatement | undefined>> = {
  match: (body) =>
    Match(parseExpression(body.left), parseExpression(body.right), asText(body.op) as Match['operator']),
  vmap: (body) => VerdictMap(parseExpression(body.key), parseVerdicts(body.data)),
  reject: (body) => {
    if (body.type === 'tcp reset') return Reject('tcp reset');
    return body.expr === undefined || body.expr === 'port-unreachable' ? Reject() : undefined;
  },
  dnat: (body) => (body.addr === undefined || body.flags !== undefined ? undefined : Dnat(...natOf(body))),
  snat: (body) => (body.addr === undefined || body.flags !== undefined ? undefined : Snat(...natOf(body))),
  masquerade: (body) => {
    if (body.port !== undefined) return undefined;
    if (body.flags === undefined) return Masquerade(false);
    return String(body.flags) === 'fully-random' ? Masquerade(true) : undefined;
  },
  redirect: ({ port, flags }) => {
    if (flags !== undefined) return undefined;
    return Redirect(port === undefined ? undefined : parseExpression(port));
  },
  notrack: () => Notrack(),
  mangle: (body) => Mangle(parseExpression(body.key), parseExpression(body.value)),
  set: (body) => {
    if (isObject(body.elem) && body.elem.elem !== undefined) return undefined;
    const name = asText(body.set).slice(1);
    return SetUpdate(
      asText(body.op) as SetUpdate['operation'],
      SetReference(name),
      parseExpression(body.elem),
    );
  },
  counter: () => Counter(),
};

function natOf(body: JsonObject): [to: NftExpression, rest: Omit<Dnat, 'kind' | 'to'>] {
  const family: Pick<Dnat, 'family'> =
    body.family === 'ip' || body.family === 'ip6' ? { family: body.family } : {};
  const port = body.port === undefined ? {} : { port: parseExpression(body.port) };
  return [parseExpression(body.addr), { ...family, ...port }];
}

function parseVerdicts(json: unknown): VerdictMap['verdicts'] {
  if (typeof json === 'string') return SetReference(json.slice(1));
  const entries = asArray(asObject(json).set).map((pair) => {
    const [key, value] = asArray(pair);
    const verdict = parseVerdict(value);
    if (verdict === undefined)
      throw new Fault('FE006', `nft -j: no verdict in ${JSON.stringify(pair)}`, 'report it');
    return [parseExpression(key), verdict] as const;
  });
  return AnonymousVerdicts(entries);
}

/** A set's key, or a map's value. */
export function parseKey(json: unknown): NftKey {
  if (isObject(json) && json.elem !== undefined) return parseKey(asObject(json.elem).val);
  if (isObject(json) && json.concat !== undefined) return Concat(...asArray(json.concat).map(parseConstant));
  return parseConstant(json);
}

function parseConstant(json: unknown): NftConstant {
  const expression = parseExpression(json);
  switch (expression.kind) {
    case 'NumberValue':
    case 'AddressValue':
    case 'PrefixValue':
    case 'RangeValue':
    case 'Word':
      return expression;
    default:
      throw new Fault('FE006', `nft -j: ${JSON.stringify(json)} is no constant`, 'see libnftables-json(5)');
  }
}

export function parseExpression(json: unknown): NftExpression {
  if (typeof json === 'number') return NumberValue(json);
  if (typeof json === 'string') {
    if (json.startsWith('@')) return SetReference(json.slice(1));
    return Addr.isAddr(json) ? AddressValue(Addr.parse(json)) : Word(json);
  }
  // A list stands for several flags at once, as in `ct state established,related`.
  if (Array.isArray(json)) return AnonymousSet(json.map(parseExpression));
  const [name = '', body] = onlyEntry(json);
  if (name === '&' || name === '|' || name === '^') {
    const [left, right] = asArray(body);
    return Bitwise(parseExpression(left), name, parseExpression(right));
  }
  return EXPRESSIONS[name]?.(body) ?? UnmodelledExpression(name, json);
}

const EXPRESSIONS: Readonly<Record<string, (body: unknown) => NftExpression | undefined>> = {
  payload: (body) => {
    const { protocol, field } = asObject(body);
    return protocol === undefined ? undefined : Payload(asText(protocol), asText(field));
  },
  meta: (body) => Meta(asText(asObject(body).key)),
  ct: (body) => {
    const { key, dir, family } = asObject(body);
    if (family !== undefined) return undefined;
    return dir === undefined ? Ct(asText(key)) : Ct(asText(key), dir === 'reply' ? 'reply' : 'original');
  },
  fib: (body) => Fib([asObject(body).flags].flat().map(asText), asText(asObject(body).result)),
  numgen: (body) => {
    const { mode, mod, offset } = asObject(body);
    return Numgen(asNumber(mod), mode === 'inc' ? 'inc' : 'random', asNumber(offset ?? 0));
  },
  concat: (body) => Concat(...asArray(body).map(parseExpression)),
  prefix: (body) => {
    const { addr, len } = asObject(body);
    return PrefixValue(Prefix.of(Addr.parse(asText(addr)), asNumber(len)));
  },
  range: (body) => {
    const [from, to] = asArray(body).map(parseExpression);
    return isEnd(from) && isEnd(to) ? RangeValue(from, to) : undefined;
  },
  map: (body) => {
    const { key, data } = asObject(body);
    return typeof data === 'string' ? Lookup(parseExpression(key), data.slice(1)) : undefined;
  },
  set: (body) => AnonymousSet(asArray(body).map(parseExpression)),
};

const isEnd = (end: NftExpression | undefined): end is AddressValue | NumberValue =>
  end?.kind === 'AddressValue' || end?.kind === 'NumberValue';

const onlyEntry = (json: unknown): readonly [string?, unknown?] =>
  isObject(json) ? (Object.entries(json)[0] ?? []) : [];
