import { type IpSet, printCreateSet, printIpSetEntry } from './ipset.ts';

/**
 * What leads from some sets to others, as `ipset -exist restore` takes it. What grows is to be done before the rules that
 * ask the sets change, what shrinks after: so no packet meets a rule whose set is not there yet, or not any more.
 */
export interface IpSetDifference {
  readonly growing: string;
  readonly shrinking: string;
}

/** Sets of `before` that `after` lacks are destroyed; pass only those that may be. */
export function differenceOfIpSets(before: Iterable<IpSet>, after: Iterable<IpSet>): IpSetDifference {
  const old = new Map([...before].map((set) => [set.name, set]));
  const growing: string[] = [];
  const shrinking: string[] = [];
  for (const set of after) {
    const known = old.get(set.name);
    old.delete(set.name);
    const head = printCreateSet(set);
    if (known === undefined || printCreateSet(known) !== head) {
      // A set of another type cannot be changed into this one; ipset refuses while a rule still asks it.
      if (known !== undefined) growing.push(`destroy ${set.name}`);
      growing.push(head, ...set.entries.map((entry) => `add ${set.name} ${printIpSetEntry(entry)}`));
      continue;
    }
    const had = new Set(known.entries.map(printIpSetEntry));
    const has = new Set(set.entries.map(printIpSetEntry));
    for (const entry of has) if (!had.has(entry)) growing.push(`add ${set.name} ${entry}`);
    for (const entry of had) if (!has.has(entry)) shrinking.push(`del ${set.name} ${entry}`);
  }
  for (const name of old.keys()) shrinking.push(`destroy ${name}`);
  return { growing: textOf(growing), shrinking: textOf(shrinking) };
}

const textOf = (lines: readonly string[]): string => lines.map((line) => `${line}\n`).join('');
