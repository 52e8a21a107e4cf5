import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { hashOf } from './names.ts';
import { sha256 } from './sha256.ts';

it('names chains as kube-proxy does', () => {
  expect(hashOf('ns1/svc1:p80', 'tcp')).toBe('XPGD46QRK7WJZT7O');
  expect(hashOf('ns1/svc1:p80', 'tcp', '10.180.0.1:80')).toBe('SXIVWICOYRO3J4NJ');
});

it('digests any text as FIPS 180-4 does', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 300 }), (text) => {
      expect(Buffer.from(sha256(text)).toString('hex')).toBe(createHash('sha256').update(text).digest('hex'));
    }),
  );
});
