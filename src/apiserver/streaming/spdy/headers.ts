/**
 * SPDY/3 header blocks (draft-mbelshe-httpbis-spdy-00, section 2.6.10): names and values, compressed by one zlib stream a
 * direction that every block of the connection goes through.
 *
 * The blocks are worked on synchronously, one by one, so that frames keep their order. That needs no zlib stream kept open:
 * each block ends in a sync flush (RFC 1951: an empty stored block, on a byte boundary), so it can be inflated alone once it
 * is given what came before as dictionary, and deflated alone when it refers to nothing before it.
 */
import { constants, deflateRawSync, inflateRawSync } from 'node:zlib';
import { Fault } from '../../../fault/fault.ts';
import { DICTIONARY, DICTIONARY_ID } from './dictionary.ts';

/** Lower-case names; a name with several values has them in order. */
export type HeaderBlock = ReadonlyMap<string, readonly string[]>;

/** How far back deflate may refer (RFC 1951). */
const WINDOW_BYTES = 32 * 1024;
/** What a compressed block may grow to: stops a small frame from filling memory. */
const MAX_BLOCK_BYTES = 256 * 1024;
/** CMF and FLG (RFC 1950): deflate, 32 KiB window, a preset dictionary follows. */
const ZLIB_HEADER = Uint8Array.of(
  0x78,
  0xbb,
  DICTIONARY_ID >>> 24,
  DICTIONARY_ID >>> 16,
  DICTIONARY_ID >>> 8,
  DICTIONARY_ID,
);

export class HeaderCompressor {
  #first = true;

  compress(headers: HeaderBlock): Uint8Array {
    const block = deflateRawSync(encodeHeaders(headers), { finishFlush: constants.Z_SYNC_FLUSH });
    if (!this.#first) return block;
    this.#first = false;
    return Buffer.concat([ZLIB_HEADER, block]);
  }
}

export class HeaderDecompressor {
  #first = true;
  #window = Buffer.from(DICTIONARY);

  /** Blocks in the order of their frames, none left out. Throws {@link Fault} FE006. */
  decompress(block: Uint8Array): HeaderBlock {
    const plain = this.#inflate(this.#first ? withoutZlibHeader(block) : block);
    this.#first = false;
    this.#window = Buffer.concat([this.#window, plain]).subarray(-WINDOW_BYTES);
    return decodeHeaders(plain);
  }

  #inflate(block: Uint8Array): Buffer {
    try {
      return inflateRawSync(block, {
        dictionary: this.#window,
        finishFlush: constants.Z_SYNC_FLUSH,
        maxOutputLength: MAX_BLOCK_BYTES,
      });
    } catch (error) {
      throw malformed('a header block does not inflate', error);
    }
  }
}

function withoutZlibHeader(block: Uint8Array): Uint8Array {
  const head = Buffer.from(block.buffer, block.byteOffset, block.byteLength);
  const isZlib = head.length >= ZLIB_HEADER.length && (head.readUInt8(0) & 0x0f) === 8;
  if (!isZlib || head.readUInt16BE(0) % 31 !== 0 || (head.readUInt8(1) & 0x20) === 0) {
    throw malformed('the first header block has no zlib header with a dictionary');
  }
  if (head.readUInt32BE(2) !== DICTIONARY_ID) throw malformed('the headers use another dictionary');
  return block.subarray(ZLIB_HEADER.length);
}

/** The number of pairs, then each name and its values, joined by NUL; every length in 32 bits. */
export function encodeHeaders(headers: HeaderBlock): Uint8Array {
  const parts: Buffer[] = [lengthBytes(headers.size)];
  for (const [name, values] of headers) {
    for (const text of [name, values.join('\0')]) {
      const bytes = Buffer.from(text, 'utf8');
      parts.push(lengthBytes(bytes.length), bytes);
    }
  }
  return Buffer.concat(parts);
}

export function decodeHeaders(block: Uint8Array): HeaderBlock {
  const bytes = Buffer.from(block.buffer, block.byteOffset, block.byteLength);
  let at = 0;
  const take = (count: number): Buffer => {
    if (at + count > bytes.length) throw malformed('a header block ends early');
    at += count;
    return bytes.subarray(at - count, at);
  };
  const text = () => take(take(4).readUInt32BE(0)).toString('utf8');
  const headers = new Map<string, readonly string[]>();
  for (let left = take(4).readUInt32BE(0); left > 0; left--) {
    const name = text().toLowerCase();
    headers.set(name, text().split('\0'));
  }
  return headers;
}

function lengthBytes(length: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(length);
  return bytes;
}

const malformed = (what: string, cause?: unknown): Fault =>
  new Fault('FE006', `SPDY: ${what}`, 'the client must speak SPDY/3.1', { cause });
