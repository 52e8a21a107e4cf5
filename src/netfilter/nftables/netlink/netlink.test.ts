import { describe, expect, it } from 'vitest';
import { Addr, Prefix } from '../../../ip/ip.ts';
import {
  AddressValue,
  Concat,
  type ElementBatch,
  elementBatch,
  Goto,
  NftChain,
  type NftChange,
  NftElement,
  NftSet,
  NftTransaction,
  NumberValue,
  PrefixValue,
  refusalOf,
  Word,
} from '../../netfilter.ts';
import { HOST_LITTLE_ENDIAN } from './message-writer.ts';

const at = (text: string) => AddressValue(Addr.parse(text));
const ENDPOINTS = NftSet('endpoints-tcp', ['ipv4_addr', 'inet_service', 'integer'], {
  value: ['ipv4_addr', 'inet_service'],
  transport: 'tcp',
});
const KEY = Concat(at('10.100.0.0'), NumberValue(80), NumberValue(4));
const VALUE = Concat(at('172.21.0.0'), NumberValue(8080));

const batchOf = (...changes: readonly NftChange[]): ElementBatch => {
  const batch = elementBatch([NftTransaction({ family: 'ip', name: 'fairlead' }, changes)]);
  if (batch === undefined) throw new Error('these can be written');
  return batch;
};
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

describe.runIf(HOST_LITTLE_ENDIAN)('elementBatch', () => {
  // As strace(1) shows what nft 1.0.6 sends, but for NLM_F_EXCL, the acknowledgement and the set id nft makes up.
  it('writes what nft writes', () => {
    const { bytes } = batchOf(
      { kind: 'DeleteElements', set: ENDPOINTS, elements: [NftElement(KEY)] },
      { kind: 'AddElements', set: ENDPOINTS, elements: [NftElement(KEY, VALUE)] },
    );
    const names = '0d000100666169726c65616400000000' + '12000200656e64706f696e74732d746370000000';
    const key = '14000180' + '10000100' + '0a640000' + '00500000' + '04000000';
    const value = '10000280' + '0c000100' + 'ac150000' + '1f900000';
    expect(hex(bytes)).toBe(
      [
        ['14000000', '1000', '0100', '00000000', '00000000', '0000000a'],
        ['54000000', '0e0a', '0100', '01000000', '00000000', '02000000', names, '1c000380', '18000180', key],
        ['64000000', '0c0a', '0506', '02000000', '00000000', '02000000', names],
        ['2c000380', '28000180', key, value],
        ['14000000', '1100', '0100', '03000000', '00000000', '0000000a'],
      ]
        .flat()
        .join(''),
    );
  });
});

describe('elementBatch', () => {
  const add = (set: NftSet, ...elements: readonly NftElement[]): NftChange => ({
    kind: 'AddElements',
    set,
    elements,
  });

  it('writes both ends of a range into the key', () => {
    const ranges = NftSet('ranges', ['inet_service', 'ipv4_addr'], { flags: ['interval'] });
    const range = PrefixValue(Prefix.parse('10.1.0.0/16'));
    const text = hex(batchOf(add(ranges, NftElement(Concat(NumberValue(80), range)))).bytes);
    expect(text).toContain('00500000' + '0a010000');
    expect(text).toContain('00500000' + '0a01ffff');
  });

  it('begins another message before an attribute outgrows its length', () => {
    const hosts = NftSet('hosts', ['ipv4_addr']);
    const many = Array.from({ length: 5000 }, (_, one) =>
      NftElement(AddressValue(Addr.parse('10.0.0.0').plus(one))),
    );
    expect(batchOf(add(hosts, ...many))).toMatchObject({ elements: 5000, last: 2 });
  });

  it.each<[string, NftChange]>([
    ['a chain', { kind: 'AddChain', chain: NftChain('c', []) }],
    ['a type it has no layout for', add(NftSet('links', ['ifname']), NftElement(Word('eth0')))],
    [
      'intervals of one field',
      add(
        NftSet('nets', ['ipv4_addr'], { flags: ['interval'] }),
        NftElement(PrefixValue(Prefix.parse('10.0.0.0/8'))),
      ),
    ],
  ])('leaves %s to nft', (_, change) => {
    expect(elementBatch([NftTransaction({ family: 'ip', name: 't' }, [change])])).toBeUndefined();
  });

  it('refuses a value that its type cannot be', () => {
    const verdicts = NftSet('verdicts', ['ipv4_addr'], { value: 'verdict' });
    expect(() => batchOf(add(verdicts, NftElement(NumberValue(1), Goto('c'))))).toThrow(
      'a NumberValue stands where an address belongs',
    );
  });
});

describe('refusalOf', () => {
  const batch = batchOf({ kind: 'DeleteElements', set: ENDPOINTS, elements: [NftElement(KEY)] });
  /** An nlmsgerr as the kernel answers with NETLINK_CAP_ACK. */
  const answer = (sequence: number, errno: number): Uint8Array => {
    const view = new DataView(new ArrayBuffer(36));
    view.setUint32(0, 36, HOST_LITTLE_ENDIAN);
    view.setUint16(4, 2, HOST_LITTLE_ENDIAN);
    view.setUint32(8, sequence, HOST_LITTLE_ENDIAN);
    view.setInt32(16, -errno, HOST_LITTLE_ENDIAN);
    return new Uint8Array(view.buffer);
  };

  it('is none where the last message was acknowledged and nothing failed', () => {
    expect(refusalOf(batch, answer(1, 0))).toBeUndefined();
  });

  it('names what failed, also beside an acknowledgement', () => {
    const both = new Uint8Array([...answer(1, 2), ...answer(1, 0)]);
    expect(refusalOf(batch, both)).toBe(
      'delete element ip fairlead endpoints-tcp: ENOENT: the kernel does not hold what was named',
    );
    expect(refusalOf(batch, answer(0, 85))).toBe('the transaction: error 85');
  });

  it('does not take silence for consent, nor a part of an answer for one', () => {
    expect(refusalOf(batch, new Uint8Array(0))).toBe('the kernel did not acknowledge the transaction');
    expect(() => refusalOf(batch, answer(1, 0).subarray(0, 20))).toThrow('cut off');
  });
});
