import {
  AddressValue,
  Concat,
  NftElement,
  type NftKey,
  type NftVerdict,
  NumberValue,
  printNftKey,
} from '../../netfilter/netfilter.ts';
import type { PlannedEndpoint } from '../plan.ts';

/** Elements of one set that a Service adds together, so that they have one owner. */
export interface ElementGroup {
  /** Tells the group from all others of the table: its set, and what the keys of its elements begin with. */
  readonly name: string;
  readonly set: string;
  /** The same elements from the same plan, made anew by each call: what is kept is the plan. */
  elements(): readonly NftElement[];
}

/** One element. */
export function oneElement(set: string, key: NftKey, value?: NftVerdict | NftKey): ElementGroup {
  return { name: `${set} ${printNftKey(key)}`, set, elements: () => [NftElement(key, value)] };
}

/** What a map says about the endpoints behind one address and port: a number, the slot, leads to an endpoint. */
export class SlotGroup implements ElementGroup {
  readonly set: string;
  readonly name: string;
  readonly endpoints: readonly PlannedEndpoint[];
  readonly #where: readonly (AddressValue | NumberValue)[];

  constructor(
    set: string,
    where: readonly (AddressValue | NumberValue)[],
    endpoints: readonly PlannedEndpoint[],
  ) {
    this.set = set;
    this.#where = where;
    this.name = `${set} ${printNftKey(Concat(...where))}`;
    this.endpoints = endpoints;
  }

  elements(): readonly NftElement[] {
    return this.endpoints.map((_, slot) => NftElement(this.#key(slot), this.#value(slot)));
  }

  /** The key of a slot as its set has it. */
  keyOf(slot: number): string {
    return printNftKey(this.#key(slot));
  }

  #key(slot: number): NftKey {
    return Concat(...this.#where, NumberValue(slot));
  }

  #value(slot: number): NftKey | undefined {
    const endpoint = this.endpoints[slot]?.endpoint;
    return endpoint && slotValue(endpoint);
  }
}

/** What a slot holds. */
export const slotValue = ({ addr, port }: PlannedEndpoint['endpoint']): NftKey =>
  Concat(AddressValue(addr), NumberValue(port));
