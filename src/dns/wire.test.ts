import { type Answer, decode } from 'dns-packet';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Reply } from './answer.ts';
import { decodeReply, encodeQuestion, encodeReply, type Query, takeQuery } from './wire.ts';

const label = fc.stringMatching(/^[A-Za-z0-9_-]{1,20}$/);
const name = fc.array(label, { minLength: 1, maxLength: 5 }).map((labels) => labels.join('.'));
const type = fc.constantFrom('A', 'AAAA', 'SRV', 'PTR', 'TXT', 'ANY', 'UNKNOWN_64');
const record: fc.Arbitrary<Answer> = fc.oneof(
  fc.record({ type: fc.constant('A' as const), name, ttl: fc.nat(), data: fc.ipV4() }),
  fc.record({ type: fc.constant('CNAME' as const), name, ttl: fc.nat(), data: name }),
  fc.record({
    type: fc.constant('SRV' as const),
    name,
    ttl: fc.nat(),
    data: fc.record({ priority: fc.nat(9), weight: fc.nat(99), port: fc.nat(65_535), target: name }),
  }),
);
const records = fc.array(record, { maxLength: 12 });

function queryOf(message: Buffer): Query {
  const taken = takeQuery(message);
  if (taken === undefined || 'refusal' in taken) throw new Error('the message is a good question');
  return taken.query;
}

const reply = (answers: Answer[], additionals: Answer[] = []): Reply => ({
  rcode: 'NOERROR',
  authoritative: true,
  answers,
  authorities: [],
  additionals,
});

describe('a query', () => {
  it('is taken as it was asked', () => {
    fc.assert(
      fc.property(fc.nat(0xffff), name, type, (id, asked, of) => {
        const query = queryOf(encodeQuestion(id, { name: asked, type: of }));
        expect(query).toMatchObject({
          id,
          question: { name: asked, type: of },
          hasEdns: true,
          udpBytes: 1232,
        });
      }),
    );
  });

  it('that is none never throws, and is answered with its own id', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 80 }), (noise) => {
        const taken = takeQuery(Buffer.from(noise));
        if (taken === undefined || !('refusal' in taken)) return;
        expect(taken.refusal.subarray(0, 2)).toEqual(Buffer.from(noise.subarray(0, 2)));
      }),
    );
  });

  it('of the root keeps its empty name', () => {
    expect(queryOf(encodeQuestion(1, { name: '', type: 'NS' })).question).toEqual({ name: '', type: 'NS' });
  });
});

describe('a reply', () => {
  it('stays within its bound, and says when it was cut', () => {
    fc.assert(
      fc.property(
        name,
        records,
        records,
        fc.integer({ min: 512, max: 1232 }),
        (asked, answers, more, limit) => {
          const query = queryOf(encodeQuestion(7, { name: asked, type: 'A' }));
          const own = answers.map((one, at) => (at % 2 === 0 ? { ...one, name: asked } : one));
          const bytes = encodeReply(query, reply(own, more), limit, true);
          expect(bytes.length).toBeLessThanOrEqual(limit);
          const packet = decode(bytes);
          const got = packet.answers ?? [];
          expect(packet.flag_tc).toBe(got.length < own.length);
          expect(got).toMatchObject(own.slice(0, got.length));
          expect(packet.questions).toMatchObject([{ name: asked, type: 'A' }]);
          expect(packet.additionals?.at(-1)).toMatchObject({ type: 'OPT', udpPayloadSize: 1232 });
        },
      ),
    );
  });

  it('of another server is taken only for the question it was asked, and passed on whole', () => {
    const question = { name: 'example.com', type: 'UNKNOWN_64' };
    const query = queryOf(encodeQuestion(9, question));
    // SVCB (RFC 9460), which dns-packet does not know: its data is passed on as it is.
    const svcb = { type: 'UNKNOWN_64', name: 'example.com', ttl: 60, data: Buffer.from('000100', 'hex') };
    const bytes = encodeReply(query, reply([svcb as unknown as Answer]), 1232, true);
    expect(decodeReply(bytes, 9, question)).toMatchObject({ isCut: false, reply: { answers: [svcb] } });
    expect(decodeReply(bytes, 8, question)).toBeUndefined();
    expect(decodeReply(bytes, 9, { ...question, name: 'example.org' })).toBeUndefined();
    expect(decodeReply(encodeQuestion(9, question), 9, question)).toBeUndefined();
    expect(decodeReply(Buffer.from('noise'), 9, question)).toBeUndefined();
  });
});
