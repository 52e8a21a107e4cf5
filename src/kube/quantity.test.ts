import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Fault } from '../fault/fault.ts';
import {
  addQuantities,
  compareQuantities,
  isQuantity,
  milliValueOf,
  parseQuantity,
  quantityText,
} from './quantity.ts';

const canonical = (text: string) => quantityText(parseQuantity(text));

describe('quantities', () => {
  it.each([
    ['100m', '100m'],
    ['0.1', '100m'],
    ['1.5', '1500m'],
    ['1000m', '1'],
    ['2000', '2k'],
    ['1.5Gi', '1536Mi'],
    ['1024Ki', '1Mi'],
    ['1000Ki', '1000Ki'],
    ['0.5Mi', '512Ki'],
    ['512', '512'],
    ['0.5Ki', '512'],
    ['1Ki', '1Ki'],
    ['0.0001Ki', '102400u'],
    ['1e3', '1e3'],
    ['2E6', '2e6'],
    ['12e1', '120'],
    ['1E', '1E'],
    ['1Ei', '1Ei'],
    ['10Ei', '9223372036854775807'],
    ['0.0000000001', '1n'],
    ['-1.5', '-1500m'],
    ['+1', '1'],
    ['.5', '500m'],
    ['5.', '5'],
    ['0Mi', '0'],
    ['007', '7'],
  ])('%s prints as %s', (text, wanted) => {
    expect(canonical(text)).toBe(wanted);
  });

  it.each(['', '.', 'm', '1 Mi', '1mi', '1KI', '1e', '1.2.3', '--1', '1Mi ', '0x10', '1e1000', 'NaN'])(
    'refuses %j',
    (text) => {
      expect(isQuantity(text)).toBe(false);
      expect(() => parseQuantity(text)).toThrow(Fault);
    },
  );

  it('orders amounts whatever their unit', () => {
    const sorted = ['1n', '1m', '999m', '1', '1k', '1Ki', '1M', '1Mi', '1G'].map(parseQuantity);
    for (const [at, one] of sorted.entries()) {
      expect(compareQuantities(one, one)).toBe(0);
      for (const more of sorted.slice(at + 1)) expect(compareQuantities(one, more)).toBeLessThan(0);
    }
  });

  it('counts in thousandths, rounding up', () => {
    expect(milliValueOf(parseQuantity('1.5'))).toBe(1500);
    expect(milliValueOf(parseQuantity('1n'))).toBe(1);
    expect(milliValueOf(parseQuantity('-1n'))).toBe(-1);
  });

  const suffix = fc.constantFrom(
    'n',
    'u',
    'm',
    '',
    'k',
    'M',
    'G',
    'T',
    'P',
    'Ki',
    'Mi',
    'Gi',
    'Ti',
    'e3',
    'E-3',
  );
  const written = fc
    .tuple(fc.constantFrom('', '-', '+'), fc.nat(99_999), fc.option(fc.nat(999), { nil: undefined }), suffix)
    .map(
      ([sign, whole, fraction, unit]) =>
        `${sign}${whole}${fraction === undefined ? '' : `.${fraction}`}${unit}`,
    );

  it('keep their amount when they are printed, and print the same again', () => {
    fc.assert(
      fc.property(written, (text) => {
        const quantity = parseQuantity(text);
        const printed = quantityText(quantity);
        expect(printed).not.toMatch(/\./);
        expect(compareQuantities(parseQuantity(printed), quantity)).toBe(0);
        expect(canonical(printed)).toBe(printed);
      }),
    );
  });

  it('add up without loss, in any order', () => {
    fc.assert(
      fc.property(written, written, (left, right) => {
        const [a, b] = [parseQuantity(left), parseQuantity(right)];
        expect(addQuantities(a, b).nano).toBe(a.nano + b.nano);
        expect(compareQuantities(addQuantities(a, b), addQuantities(b, a))).toBe(0);
        expect(compareQuantities(a, b)).toBe(-compareQuantities(b, a) + 0);
      }),
    );
  });
});
