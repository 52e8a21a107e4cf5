import { isIPv4, isIPv6 } from 'node:net';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Addr, Endpoint, Mac, Prefix, portOf } from './ip.ts';

const addr4 = fc.bigInt({ min: 0n, max: (1n << 32n) - 1n }).map((value) => Addr.fromValue(4, value));
const addr6 = fc.bigInt({ min: 0n, max: (1n << 128n) - 1n }).map((value) => Addr.fromValue(6, value));
/** Sparse addresses, where the `::` of RFC 5952 is decided. */
const sparse6 = fc.array(fc.constantFrom(0, 0, 0, 1, 0xabcd), { minLength: 8, maxLength: 8 }).map((groups) =>
  Addr.fromValue(
    6,
    groups.reduce((sum, group) => (sum << 16n) | BigInt(group), 0n),
  ),
);
const addr = fc.oneof(addr4, addr6, sparse6);

describe('Addr', () => {
  it('parses back what it prints', () => {
    fc.assert(
      fc.property(
        addr,
        (a) => Addr.parse(a.text).value === a.value && Addr.parse(a.text).family === a.family,
      ),
    );
  });

  it('prints IPv6 as the URL parser does (RFC 5952)', () => {
    fc.assert(
      fc.property(fc.oneof(addr6, sparse6), (a) => new URL(`http://[${a.text}]/`).hostname === `[${a.text}]`),
    );
  });

  it('accepts just what node:net accepts, zones aside', () => {
    const text = fc.oneof(
      fc.string(),
      fc.stringMatching(/^[0-9a-f:.]{0,20}$/),
      fc.stringMatching(/^[0-9.]{7,15}$/),
    );
    fc.assert(
      fc.property(
        text.filter((t) => !t.includes('%')),
        (t) => Addr.isAddr(t) === (isIPv4(t) || isIPv6(t)),
      ),
    );
  });

  it.each(['', '1.2.3', '1.2.3.256', '01.2.3.4', '1::2::3', ':::', '1:2:3:4:5:6:7', '::1.2.3', 'g::'])(
    'refuses %j',
    (text) => {
      expect(() => Addr.parse(text)).toThrow(/is not an IP address/);
    },
  );

  it('knows its classes', () => {
    expect(Addr.parse('127.1.2.3').isLoopback).toBe(true);
    expect(Addr.parse('224.0.0.1').isMulticast).toBe(true);
    expect(Addr.parse('fe80::1').isLinkLocal).toBe(true);
    expect(Addr.parse('10.0.0.1').isLinkLocal).toBe(false);
  });
});

describe('Prefix', () => {
  it('contains its first and last address and not their neighbours', () => {
    const prefix = Prefix.parse('10.1.2.0/23');
    expect(prefix.contains(Addr.parse('10.1.2.0'))).toBe(true);
    expect(prefix.contains(Addr.parse('10.1.3.255'))).toBe(true);
    expect(prefix.contains(Addr.parse('10.1.4.0'))).toBe(false);
    expect(prefix.contains(Addr.parse('::a01:200'))).toBe(false);
    expect(prefix.last.text).toBe('10.1.3.255');
  });

  it('clears host bits, and parses back what it prints', () => {
    fc.assert(
      fc.property(addr, fc.nat(128), (a, n) => {
        const prefix = Prefix.of(a, a.family === 4 ? n % 33 : n);
        return prefix.contains(a) && Prefix.parse(prefix.text).equals(prefix);
      }),
    );
  });

  it('cuts subnets', () => {
    expect(Prefix.parse('172.16.0.0/16').subnet(24, 3).text).toBe('172.16.3.0/24');
    expect(() => Prefix.parse('172.16.0.0/16').subnet(24, 256)).toThrow(/has no address/);
  });
});

describe('Endpoint and Mac', () => {
  it('parse back what they print', () => {
    fc.assert(
      fc.property(addr, fc.integer({ min: 1, max: 65535 }), (a, p) => {
        const endpoint = new Endpoint(a, portOf(p));
        return Endpoint.parse(endpoint.text).equals(endpoint);
      }),
    );
    const mac = Mac.forAddr(Addr.parse('192.168.0.11'), 7);
    expect(Mac.parse(mac.text.toUpperCase()).equals(mac)).toBe(true);
    expect(mac.text).toBe('02:07:c0:a8:00:0b');
  });

  it.each([0, 65536, 1.5, Number.NaN])('refuses the port %d', (port) => {
    expect(() => portOf(port)).toThrow(/is not a port/);
  });
});
