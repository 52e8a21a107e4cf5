/**
 * Quantities in canonical form, as apimachinery's resource.Quantity writes them: `0.5` is `500m`, `1024Ki` is `1Mi`, `1e3`
 * keeps its exponent form. Numbers are exact (BigInt nanos); more than nine decimals are rounded up, away from zero.
 */
const PATTERN = /^([+-]?)(\d+\.?\d*|\.\d+)(Ki|Mi|Gi|Ti|Pi|Ei|[eE][+-]?\d+|[numkMGTPE]?)$/;
const BINARY = ['', 'Ki', 'Mi', 'Gi', 'Ti', 'Pi', 'Ei'];
const DECIMAL: readonly (readonly [string, number])[] = [
  ['E', 18],
  ['P', 15],
  ['T', 12],
  ['G', 9],
  ['M', 6],
  ['k', 3],
  ['', 0],
  ['m', -3],
  ['u', -6],
  ['n', -9],
];

/** What upstream says of a text that is no quantity. */
export const QUANTITY_MESSAGE =
  "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";

const NANO = 9;
const power = (exponent: number): bigint => 10n ** BigInt(exponent);

interface Parsed {
  readonly negative: boolean;
  /** The magnitude in billionths. */
  readonly nanos: bigint;
  readonly form: 'binary' | 'exponent' | 'decimal';
}

function exponentOf(suffix: string): number {
  return /^[eE]./.test(suffix)
    ? Number(suffix.slice(1))
    : (DECIMAL.find(([one]) => one === suffix)?.[1] ?? 0);
}

function parse(text: string): Parsed | undefined {
  const [, sign, digits = '', suffix = ''] = PATTERN.exec(text) ?? [];
  if (sign === undefined) return undefined;
  const [whole = '', fraction = ''] = digits.split('.');
  const binary = BINARY.indexOf(suffix);
  const shift = NANO - fraction.length + (binary > 0 ? 0 : exponentOf(suffix));
  if (Math.abs(shift) > 400) return undefined;
  const scaled = BigInt(whole + fraction) * (binary > 0 ? 1024n ** BigInt(binary) : 1n);
  const nanos = shift >= 0 ? scaled * power(shift) : (scaled + power(-shift) - 1n) / power(-shift);
  const form = binary > 0 ? 'binary' : /^[eE]./.test(suffix) ? 'exponent' : 'decimal';
  return { negative: sign === '-' && nanos > 0n, nanos, form };
}

function binaryText(value: bigint): string {
  let rest = value;
  let step = 0;
  while (step < BINARY.length - 1 && rest !== 0n && rest % 1024n === 0n) {
    rest /= 1024n;
    step += 1;
  }
  return `${rest}${BINARY[step]}`;
}

function decimalText(nanos: bigint, exponents: boolean): string {
  if (nanos === 0n) return '0';
  for (const [suffix, exponent] of DECIMAL) {
    const unit = power(exponent + NANO);
    if (nanos % unit !== 0n) continue;
    return `${nanos / unit}${exponents ? (exponent === 0 ? '' : `e${exponent}`) : suffix}`;
  }
  return `${nanos}n`;
}

/** The canonical form, or undefined if the text is no quantity. */
export function canonicalQuantity(text: string): string | undefined {
  const parsed = parse(text);
  if (parsed === undefined) return undefined;
  const { negative, nanos, form } = parsed;
  const sign = negative ? '-' : '';
  const whole = nanos % power(NANO) === 0n;
  // resource.Quantity falls back to decimal where a binary suffix would need a fraction or the value is below 1Ki.
  if (form === 'binary' && whole && nanos >= 1024n * power(NANO))
    return `${sign}${binaryText(nanos / power(NANO))}`;
  return `${sign}${decimalText(nanos, form === 'exponent')}`;
}
