/**
 * DNS messages (RFC 1035) with EDNS0 (RFC 6891): bytes to a query, a reply to bytes within a size. Pure but for Buffer.
 *
 * dns-packet does not compress names. Nearly all records of an answer are owned by the name that was asked for, so replacing
 * that one name by a pointer to the question is most of the gain.
 */
import {
  type Answer,
  AUTHORITATIVE_ANSWER,
  CHECKING_DISABLED,
  type DecodedPacket,
  decode,
  encode,
  RECURSION_AVAILABLE,
  RECURSION_DESIRED,
  TRUNCATED_RESPONSE,
} from 'dns-packet';
import type { Question, Rcode, Reply } from './answer.ts';

const HEADER_BYTES = 12;
const MIN_UDP_BYTES = 512;
/** What passes every path without fragments (DNS flag day 2020); also what is advertised. */
const MAX_UDP_BYTES = 1232;
export const MAX_TCP_BYTES = 65_535;
const RESPONSE = 0x8000;
const OPCODE_BITS = 0x7800;
/** A pointer (RFC 1035, 4.1.4) to the question's name, right behind the header. */
const POINTER_TO_QUESTION = Buffer.of(0xc0, HEADER_BYTES);
/** BADVERS (16) is split: its upper eight bits go in the OPT record. */
const BADVERS_EXTENDED = 1;

const RCODES: Readonly<Record<Rcode, number>> = {
  NOERROR: 0,
  FORMERR: 1,
  SERVFAIL: 2,
  NXDOMAIN: 3,
  NOTIMP: 4,
  REFUSED: 5,
};

/** What the answer to a message has to echo and to respect. */
export interface Query {
  readonly id: number;
  readonly flags: number;
  /** As it came, to be echoed bit by bit: resolvers check the case of the name. */
  readonly questionBytes: Buffer;
  readonly question: Question;
  /** What the client takes over UDP. */
  readonly udpBytes: number;
  readonly hasEdns: boolean;
}

/** A query, or the answer that a message deserves which is none; undefined when it deserves none. */
export type Taken = { readonly query: Query } | { readonly refusal: Buffer } | undefined;

export function takeQuery(bytes: Buffer): Taken {
  // A response is never answered: two servers would talk for ever.
  if (bytes.length < HEADER_BYTES || (bytes.readUInt16BE(2) & RESPONSE) !== 0) return undefined;
  const flags = bytes.readUInt16BE(2);
  if ((flags & OPCODE_BITS) !== 0) return { refusal: bare(bytes, 'NOTIMP') };
  const packet = decoded(bytes);
  const end = questionEnd(bytes);
  const [asked] = packet?.questions ?? [];
  if (packet === undefined || end === undefined || asked === undefined || packet.questions?.length !== 1) {
    return { refusal: bare(bytes, 'FORMERR') };
  }
  if (asked.class !== 'IN' && asked.class !== 'ANY') return { refusal: bare(bytes, 'REFUSED', end) };
  const edns = packet.additionals?.find((record) => record.type === 'OPT');
  const query: Query = {
    id: bytes.readUInt16BE(0),
    flags,
    questionBytes: bytes.subarray(HEADER_BYTES, end),
    question: { name: asked.name === '.' ? '' : asked.name, type: asked.type },
    udpBytes: Math.min(Math.max(edns?.udpPayloadSize ?? 0, MIN_UDP_BYTES), MAX_UDP_BYTES),
    hasEdns: edns !== undefined,
  };
  if (edns !== undefined && edns.ednsVersion !== 0) return { refusal: badVersion(query) };
  return { query };
}

function decoded(bytes: Buffer): DecodedPacket | undefined {
  try {
    return decode(bytes);
  } catch {
    // Whatever dns-packet stumbles over is no message we could answer: the caller says FORMERR.
    return undefined;
  }
}

/** Where the first question ends; undefined if it does not, or uses a pointer, which has nothing to point at. */
function questionEnd(bytes: Buffer): number | undefined {
  let at = HEADER_BYTES;
  for (let length = bytes[at]; length !== 0; length = bytes[at]) {
    if (length === undefined || length > 63) return undefined;
    at += length + 1;
  }
  return at + 5 <= bytes.length ? at + 5 : undefined;
}

/** An answer that says no more than its code; with the question if `end` says where that ends. */
function bare(bytes: Buffer, rcode: Rcode, end?: number): Buffer {
  const header = Buffer.alloc(HEADER_BYTES);
  bytes.copy(header, 0, 0, 2);
  const flags = bytes.readUInt16BE(2);
  header.writeUInt16BE(RESPONSE | (flags & (OPCODE_BITS | RECURSION_DESIRED)) | RCODES[rcode], 2);
  if (end === undefined) return header;
  header.writeUInt16BE(1, 4);
  return Buffer.concat([header, bytes.subarray(HEADER_BYTES, end)]);
}

/**
 * The bytes of a reply, at most `limit`. What does not fit is left out from the end: additional records silently (RFC 2181,
 * 9), of the other sections with TC set, so that the client asks again over TCP.
 */
export function encodeReply(query: Query, reply: Reply, limit: number, canRecurse: boolean): Buffer {
  const opt = query.hasEdns ? optRecord(0) : Buffer.alloc(0);
  let room = limit - HEADER_BYTES - query.questionBytes.length - opt.length;
  const pieces: Buffer[] = [];
  const place = (records: readonly Answer[]): number => {
    let count = 0;
    for (const record of records) {
      const piece = recordBytes(record, query.question.name);
      if (piece.length > room) break;
      room -= piece.length;
      pieces.push(piece);
      count++;
    }
    return count;
  };
  const answers = place(reply.answers);
  const isWhole = answers === reply.answers.length;
  const authorities = isWhole ? place(reply.authorities) : 0;
  const isCut = !isWhole || authorities < reply.authorities.length;
  const additionals = isCut ? 0 : place(reply.additionals);
  const header = Buffer.alloc(HEADER_BYTES);
  header.writeUInt16BE(query.id, 0);
  header.writeUInt16BE(
    RESPONSE |
      (query.flags & (RECURSION_DESIRED | CHECKING_DISABLED)) |
      (reply.authoritative ? AUTHORITATIVE_ANSWER : 0) |
      (isCut ? TRUNCATED_RESPONSE : 0) |
      // The resolvers of pods warn of an answer without RA; for a name of the zone there is nothing left to recurse for.
      (canRecurse || reply.authoritative ? RECURSION_AVAILABLE : 0) |
      RCODES[reply.rcode],
    2,
  );
  for (const [at, count] of [1, answers, authorities, additionals + (query.hasEdns ? 1 : 0)].entries()) {
    header.writeUInt16BE(count, 4 + at * 2);
  }
  return Buffer.concat([header, query.questionBytes, ...pieces, opt]);
}

function recordBytes(record: Answer, questionName: string): Buffer {
  const bytes = encode({ answers: [record] }).subarray(HEADER_BYTES);
  if (record.name !== questionName || questionName === '') return bytes;
  // On the wire a name is one byte longer than its text on either end: the first length and the root.
  return Buffer.concat([POINTER_TO_QUESTION, bytes.subarray(nameBytes(bytes))]);
}

function nameBytes(bytes: Buffer): number {
  let at = 0;
  for (let length = bytes[at] ?? 0; length !== 0; length = bytes[at] ?? 0) at += length + 1;
  return at + 1;
}

/** RFC 6891, 6.1.2; the root name, type 41. */
function optRecord(extendedRcode: number): Buffer {
  const bytes = Buffer.alloc(11);
  bytes.writeUInt16BE(41, 1);
  bytes.writeUInt16BE(MAX_UDP_BYTES, 3);
  bytes.writeUInt8(extendedRcode, 5);
  return bytes;
}

function badVersion(query: Query): Buffer {
  const reply: Reply = {
    rcode: 'NOERROR',
    authoritative: false,
    answers: [],
    authorities: [],
    additionals: [],
  };
  const bytes = encodeReply(query, reply, MIN_UDP_BYTES, false);
  optRecord(BADVERS_EXTENDED).copy(bytes, bytes.length - 11);
  return bytes;
}

/** A question to another server. */
export function encodeQuestion(id: number, question: Question): Buffer {
  const edns = { type: 'OPT', name: '.', udpPayloadSize: MAX_UDP_BYTES, extendedRcode: 0, ednsVersion: 0 };
  return encode({
    type: 'query',
    id,
    flags: RECURSION_DESIRED,
    questions: [{ name: question.name || '.', type: question.type as 'A' }],
    additionals: [{ ...edns, type: 'OPT', flags: 0, flag_do: false, options: [] }],
  });
}

/** Another server's answer to a question, or undefined if the bytes are none. */
export function decodeReply(
  bytes: Buffer,
  id: number,
  question: Question,
): { readonly reply: Reply; readonly isCut: boolean } | undefined {
  const packet = decoded(bytes);
  const [echoed] = packet?.questions ?? [];
  if (packet?.type !== 'response' || packet.id !== id || echoed === undefined) return undefined;
  const isSame = echoed.name.toLowerCase() === (question.name || '.').toLowerCase();
  if (!isSame || echoed.type !== question.type) return undefined;
  const rcode = (Object.keys(RCODES) as Rcode[]).find(
    (name) => RCODES[name] === (bytes.readUInt16BE(2) & 15),
  );
  return {
    isCut: packet.flag_tc,
    reply: {
      rcode: rcode ?? 'SERVFAIL',
      authoritative: false,
      answers: packet.answers ?? [],
      authorities: packet.authorities ?? [],
      additionals: (packet.additionals ?? []).filter((record) => record.type !== 'OPT'),
    },
  };
}
