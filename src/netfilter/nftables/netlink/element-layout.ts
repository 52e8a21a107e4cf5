import type { Addr } from '../../../ip/ip.ts';
import type { NftConstant } from '../expression.ts';
import type { NftDataType, NftElement, NftKey, NftSet } from '../ruleset.ts';
import type { NftVerdict } from '../statement.ts';
import type { MessageWriter } from './message-writer.ts';

/** Attributes of an element, of its data and of a verdict (include/uapi/linux/netfilter/nf_tables.h). */
const NFTA_LIST_ELEM = 1;
const NFTA_SET_ELEM_KEY = 1;
const NFTA_SET_ELEM_DATA = 2;
const NFTA_SET_ELEM_KEY_END = 10;
const NFTA_DATA_VALUE = 1;
const NFTA_DATA_VERDICT = 2;
const NFTA_VERDICT_CODE = 1;
const NFTA_VERDICT_CHAIN = 2;

/** NF_DROP and NF_ACCEPT, and enum nft_verdicts. */
const VERDICT_CODES: Readonly<Record<NftVerdict['kind'], number>> = {
  Drop: 0,
  Accept: 1,
  Jump: -3,
  Goto: -4,
  Return: -5,
};

/** IANA's numbers of the transports. */
const PROTOCOLS: ReadonlyMap<string, number> = new Map([
  ['tcp', 6],
  ['udp', 17],
  ['sctp', 132],
]);

/** Which end of a range or prefix is written; a single value is both. */
type End = 'first' | 'last';

type WriteField = (writer: MessageWriter, value: NftConstant, end: End) => void;

/** How the values of a type lie in a register: an address as in the packet, what the kernel counts in its own byte order. */
const FIELDS: Readonly<Record<string, WriteField>> = {
  ipv4_addr: (writer, value, end) =>
    writer.uint32(value.kind === 'AddressValue' ? value.addr.u32 : Number(addressOf(value, end).value)),
  ipv6_addr: (writer, value, end) => writer.uint128(addressOf(value, end).value),
  inet_proto: (writer, value) => writer.uint8(protocolOf(value)),
  inet_service: (writer, value, end) => writer.uint16(numberOf(value, end)),
  integer: (writer, value, end) => writer.hostUint32(numberOf(value, end)),
  mark: (writer, value, end) => writer.hostUint32(numberOf(value, end)),
};

/** How the elements of one set are written. */
export interface ElementLayout {
  /** @param whole with the value too, as an addition has it; a deletion names the key alone */
  write(writer: MessageWriter, element: NftElement, whole: boolean): void;
}

/**
 * The layout of a set's elements, or undefined where it is not known: for types that are not modelled, and for intervals of
 * a single field, which older kernels want as two elements.
 */
export function elementLayout(set: NftSet): ElementLayout | undefined {
  const key = fieldsOf(set.key);
  const value = set.value === undefined || set.value === 'verdict' ? set.value : fieldsOf(set.value);
  const interval = set.flags.includes('interval');
  if (key === undefined || (value === undefined && set.value !== undefined)) return undefined;
  if (interval && key.length === 1) return undefined;
  return {
    write(writer, element, whole) {
      const start = writer.beginNested(NFTA_LIST_ELEM);
      writeData(writer, NFTA_SET_ELEM_KEY, key, element.key, 'first');
      if (interval) writeData(writer, NFTA_SET_ELEM_KEY_END, key, element.key, 'last');
      if (whole && element.value !== undefined) writeValue(writer, value, element.value);
      writer.endAttribute(start);
    },
  };
}

function fieldsOf(types: readonly NftDataType[]): readonly WriteField[] | undefined {
  const fields = types.map((type) => FIELDS[type]);
  return fields.every((field) => field !== undefined) ? fields : undefined;
}

function writeValue(
  writer: MessageWriter,
  fields: readonly WriteField[] | 'verdict' | undefined,
  value: NftVerdict | NftKey,
): void {
  if (isVerdict(value)) writeVerdict(writer, value);
  else if (fields !== undefined && fields !== 'verdict') {
    writeData(writer, NFTA_SET_ELEM_DATA, fields, value, 'first');
  } else throw new Error('a set that is no map has an element with a value');
}

/** Fields side by side; in a concatenation each begins at a multiple of four bytes, as registers do (see libnftnl). */
function writeData(
  writer: MessageWriter,
  type: number,
  fields: readonly WriteField[],
  key: NftKey,
  end: End,
): void {
  const outer = writer.beginNested(type);
  const inner = writer.beginAttribute(NFTA_DATA_VALUE);
  if (key.kind !== 'Concat') fields[0]?.(writer, key, end);
  else {
    for (const [at, field] of fields.entries()) {
      const value = key.of[at];
      if (value === undefined) throw new Error(`an element has ${key.of.length} of ${fields.length} fields`);
      field(writer, value, end);
      writer.pad();
    }
  }
  writer.endAttribute(inner);
  writer.endAttribute(outer);
}

function writeVerdict(writer: MessageWriter, verdict: NftVerdict): void {
  const outer = writer.beginNested(NFTA_SET_ELEM_DATA);
  const inner = writer.beginNested(NFTA_DATA_VERDICT);
  writer.number(NFTA_VERDICT_CODE, VERDICT_CODES[verdict.kind]);
  if (verdict.kind === 'Jump' || verdict.kind === 'Goto') writer.text(NFTA_VERDICT_CHAIN, verdict.chain);
  writer.endAttribute(inner);
  writer.endAttribute(outer);
}

const isVerdict = (value: NftVerdict | NftKey): value is NftVerdict => value.kind in VERDICT_CODES;

function addressOf(value: NftConstant, end: End): Addr {
  switch (value.kind) {
    case 'AddressValue':
      return value.addr;
    case 'PrefixValue':
      return end === 'first' ? value.prefix.addr : value.prefix.last;
    case 'RangeValue':
      return addressOf(end === 'first' ? value.from : value.to, end);
    default:
      throw unfit(value, 'an address');
  }
}

function numberOf(value: NftConstant, end: End): number {
  if (value.kind === 'NumberValue') return value.value;
  if (value.kind === 'RangeValue') return numberOf(end === 'first' ? value.from : value.to, end);
  throw unfit(value, 'a number');
}

function protocolOf(value: NftConstant): number {
  const number = value.kind === 'Word' ? PROTOCOLS.get(value.text) : numberOf(value, 'first');
  if (number === undefined) throw unfit(value, 'a protocol');
  return number;
}

const unfit = (value: NftConstant, wanted: string): Error =>
  new Error(`a ${value.kind} stands where ${wanted} belongs`);
