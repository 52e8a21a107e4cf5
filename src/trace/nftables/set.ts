import { Addr } from '../../ip/ip.ts';
import type {
  NftConstant,
  NftDataType,
  NftElement,
  NftKey,
  NftSet,
  NftVerdict,
} from '../../netfilter/netfilter.ts';
import { Unmodelled } from '../passage.ts';
import { canonical, textOf, type Value } from './value.ts';

/** Says whether a value is in a range or prefix. */
export type Within = (value: Value) => boolean;

/** What a map holds under a key: a verdict, or the values that stand there side by side. */
export type Held = NftVerdict | readonly Value[];

interface Entry {
  readonly intervals: readonly (Within | undefined)[];
  readonly held: Held | undefined;
}

/**
 * A named set or map for looking up. The parts of a key that every element gives exactly are the key of a hash; what
 * stands under it is looked through for the parts that are prefixes or ranges.
 */
export class SetIndex {
  readonly name: string;
  /** Filled by packets as well. */
  readonly isDynamic: boolean;
  /** See {@link NftSet.unmodelled}. */
  readonly unmodelled: string | undefined;
  readonly #exact: readonly boolean[];
  readonly #entries = new Map<string, Entry[]>();
  readonly #hasIntervals: boolean;

  constructor(set: NftSet) {
    this.name = set.name;
    this.isDynamic = set.flags.includes('dynamic');
    this.unmodelled = set.unmodelled;
    const elements = [...set.elements.values()].map((element) => ({ element, parts: partsOf(element.key) }));
    this.#exact = set.key.map((_, at) => elements.every(({ parts }) => isExact(parts[at])));
    this.#hasIntervals = this.#exact.includes(false);
    for (const { element, parts } of elements) this.#add(set, element, parts);
  }

  #add(set: NftSet, element: NftElement, parts: readonly NftConstant[]): void {
    const values = parts.map((part, at) => canonical(part, isProtocolType(set.key[at])));
    const key = this.#keyOf(values);
    if (key === undefined) return;
    const entries = this.#entries.get(key) ?? [];
    this.#entries.set(key, entries);
    entries.push({
      intervals: this.#hasIntervals
        ? parts.map((part, at) => (this.#exact[at] ? undefined : within(part)))
        : [],
      held: heldBy(element),
    });
  }

  #keyOf(values: readonly Value[]): string | undefined {
    let key = '';
    for (let at = 0; at < values.length; at++) {
      if (this.#exact[at] === false) continue;
      const value = values[at];
      if (value === undefined) return undefined;
      key = key === '' ? textOf(value) : `${key} . ${textOf(value)}`;
    }
    return key;
  }

  /** `undefined` if it is not there; `true` for an element of a plain set. */
  find(values: readonly Value[]): Held | true | undefined {
    if (this.unmodelled !== undefined) {
      throw new Unmodelled(`what the set '${this.name}' holds is not modelled (${this.unmodelled})`);
    }
    const key = this.#keyOf(values);
    const entries = key === undefined ? undefined : this.#entries.get(key);
    if (entries === undefined) return undefined;
    for (const { intervals, held } of entries) {
      if (intervals.every((test, at) => test === undefined || test(values[at]))) return held ?? true;
    }
    return undefined;
  }
}

export const partsOf = (key: NftKey): readonly NftConstant[] => (key.kind === 'Concat' ? key.of : [key]);

const isProtocolType = (type: NftDataType | undefined): boolean => type === 'inet_proto';

const isExact = (part: NftConstant | undefined): boolean =>
  part?.kind !== 'PrefixValue' &&
  part?.kind !== 'RangeValue' &&
  !(part?.kind === 'Word' && isWildcard(part.text));

const isWildcard = (name: string): boolean => name.endsWith('*');

/** Membership in what stands for several values at once. */
export function within(constant: NftConstant): Within {
  switch (constant.kind) {
    case 'PrefixValue': {
      const { prefix } = constant;
      return (value) => value instanceof Addr && prefix.contains(value);
    }
    case 'RangeValue': {
      const [from, to] = [canonical(constant.from, false), canonical(constant.to, false)];
      return (value) => isBetween(value, from, to);
    }
    case 'Word': {
      if (!isWildcard(constant.text)) return (value) => value === constant.text;
      const start = constant.text.slice(0, -1);
      return (value) => typeof value === 'string' && value.startsWith(start);
    }
    case 'AddressValue':
      return (value) => value instanceof Addr && value.text === constant.addr.text;
    case 'NumberValue':
      return (value) => value === constant.value;
  }
}

function isBetween(value: Value, from: Value, to: Value): boolean {
  if (typeof value === 'number' && typeof from === 'number' && typeof to === 'number') {
    return value >= from && value <= to;
  }
  return (
    value instanceof Addr &&
    from instanceof Addr &&
    to instanceof Addr &&
    value.family === from.family &&
    value.compare(from) >= 0 &&
    value.compare(to) <= 0
  );
}

function heldBy({ value }: NftElement): Held | undefined {
  if (value === undefined) return undefined;
  switch (value.kind) {
    case 'Accept':
    case 'Drop':
    case 'Return':
    case 'Jump':
    case 'Goto':
      return value;
    default:
      return partsOf(value).map((part) => canonical(part, false));
  }
}
