/**
 * Resource quantities: `100m`, `1.5Gi`, `2e3` (k8s.io/apimachinery/pkg/api/resource).
 *
 * Promises: amounts are exact to a billionth, in integers, never floats; what {@link quantityText} prints parses to the
 * same amount and prints the same again; a quantity is printed with the kind of suffix it was written with.
 * Refuses: exponents beyond ±100, which no resource has and which would only cost memory.
 *
 * @example quantityText(parseQuantity('1.5Gi')) // '1536Mi'
 */
import { Fault } from '../fault/fault.ts';

export interface Quantity {
  /** The amount in billionths, the finest unit upstream keeps. */
  readonly nano: bigint;
  readonly format: QuantityFormat;
}

/** The kind of suffix: powers of 1024, powers of 1000, or `e3`. */
export type QuantityFormat = 'BinarySI' | 'DecimalSI' | 'DecimalExponent';

const NANO = 1_000_000_000n;
const BINARY = ['', 'Ki', 'Mi', 'Gi', 'Ti', 'Pi', 'Ei'];
/** From 10^-9 on, a factor of 1000 each. */
const DECIMAL = ['n', 'u', 'm', '', 'k', 'M', 'G', 'T', 'P', 'E'];
const MAX_EXPONENT = 100;
/** Binary quantities are capped here, as upstream caps them. */
const MAX_BINARY = (2n ** 63n - 1n) * NANO;

/** What upstream says of a text that is no quantity. */
export const QUANTITY_MESSAGE =
  "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";

const SHAPE = /^([+-]?)(\d*)(?:\.(\d*))?(n|u|m|k|M|G|T|P|E|[KMGTPE]i|[eE][+-]?\d+)?$/;

/** Throws {@link Fault} FE006. A bare number, as YAML reads `cpu: 2`, is a quantity too. */
export function parseQuantity(text: string | number): Quantity {
  const quantity = read(String(text));
  if (quantity === undefined) {
    throw new Fault('FE006', `'${text}' is not a quantity`, 'write it like 100m, 1.5 or 200Mi');
  }
  return quantity;
}

export const isQuantity = (text: unknown): text is string | number =>
  (typeof text === 'string' || typeof text === 'number') && read(String(text)) !== undefined;

function read(text: string): Quantity | undefined {
  const match = SHAPE.exec(text);
  if (match === null) return undefined;
  const [, sign = '', whole = '', fraction = '', suffix = ''] = match;
  if (whole === '' && fraction === '') return undefined;
  const digits = BigInt(whole + fraction);
  const scaled = scale(digits, fraction.length, suffix);
  if (scaled === undefined) return undefined;
  const amount = scaled.format === 'BinarySI' && scaled.nano > MAX_BINARY ? MAX_BINARY : scaled.nano;
  // Less than one of a binary unit reads better in thousandths, as upstream has it.
  const format = scaled.format === 'BinarySI' && amount > 0n && amount < NANO ? 'DecimalSI' : scaled.format;
  return { nano: sign === '-' ? -amount : amount, format };
}

/** digits × 10^-places × suffix, in billionths, rounded away from zero: whoever asks for some gets some. */
function scale(digits: bigint, places: number, suffix: string): Quantity | undefined {
  const binary = suffix === '' ? -1 : BINARY.indexOf(suffix);
  if (binary > 0) {
    const nano = ceilDivide(digits * NANO * 1024n ** BigInt(binary), 10n ** BigInt(places));
    return { nano, format: 'BinarySI' };
  }
  const exponential = /^[eE][+-]?\d/.test(suffix);
  const exponent = exponential ? Number(suffix.slice(1)) : (DECIMAL.indexOf(suffix) - 3) * 3;
  if (Math.abs(exponent) > MAX_EXPONENT) return undefined;
  const shift = 9 + exponent - places;
  const nano = shift >= 0 ? digits * 10n ** BigInt(shift) : ceilDivide(digits, 10n ** BigInt(-shift));
  return { nano, format: exponential ? 'DecimalExponent' : 'DecimalSI' };
}

const ceilDivide = (amount: bigint, by: bigint): bigint => (amount + by - 1n) / by;

/** The text in canonical form, or undefined if it is no quantity. */
export function canonicalQuantity(text: string): string | undefined {
  const quantity = read(text);
  return quantity === undefined ? undefined : quantityText(quantity);
}

/** Negative, zero or positive, by amount alone. */
export const compareQuantities = (left: Quantity, right: Quantity): number =>
  left.nano < right.nano ? -1 : left.nano > right.nano ? 1 : 0;

/** The sum, in the left one's format; an amount of nothing takes the other's. */
export const addQuantities = (left: Quantity, right: Quantity): Quantity => ({
  nano: left.nano + right.nano,
  format: left.nano === 0n ? right.format : left.format,
});

/** The amount as a number, rounded up to a thousandth: what schedulers count CPUs in. */
export const milliValueOf = ({ nano }: Quantity): number =>
  Number(nano < 0n ? -ceilDivide(-nano, 1_000_000n) : ceilDivide(nano, 1_000_000n));

/** The canonical text: no fraction, and the largest suffix that loses nothing. */
export function quantityText({ nano, format }: Quantity): string {
  if (nano === 0n) return '0';
  const size = nano < 0n ? -nano : nano;
  const sign = nano < 0n ? '-' : '';
  const isBinary = format === 'BinarySI' && size >= 1024n * NANO && size % NANO === 0n;
  return sign + (isBinary ? binaryText(size / NANO) : decimalText(size, format));
}

function binaryText(size: bigint): string {
  let [mantissa, step] = [size, 0];
  while (mantissa % 1024n === 0n && step < BINARY.length - 1) {
    mantissa /= 1024n;
    step++;
  }
  return `${mantissa}${BINARY[step]}`;
}

function decimalText(nano: bigint, format: QuantityFormat): string {
  let [mantissa, step] = [nano, 0];
  const exponential = format === 'DecimalExponent';
  while (mantissa % 1000n === 0n && (exponential || step < DECIMAL.length - 1)) {
    mantissa /= 1000n;
    step++;
  }
  if (!exponential) return `${mantissa}${DECIMAL[step]}`;
  const exponent = step * 3 - 9;
  return exponent === 0 ? String(mantissa) : `${mantissa}e${exponent}`;
}
