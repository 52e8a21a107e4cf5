/**
 * SPDY/3.1 framing (draft-mbelshe-httpbis-spdy-00, section 2.2, with the WINDOW_UPDATE of version 3.1): bytes to frames and
 * back. Pure; header blocks stay compressed, see headers.ts.
 *
 * Promises: `emit` of what the parser gave is the bytes it took, except that frames of unknown type are dropped, as the
 * draft asks for.
 * Refuses: another version, and frames whose length does not fit their type, with {@link Fault} FE006.
 *
 * @example new FrameParser().push(emit({ type: 'PING', id: 1 })) // [{ type: 'PING', id: 1 }]
 */
import { Fault } from '../../../fault/fault.ts';

const VERSION = 3;
const HEAD_BYTES = 8;
const FIN = 0x01;
const UNIDIRECTIONAL = 0x02;
const CLEAR_SETTINGS = 0x01;
/** Far above the 8 KiB of headers that the draft asks everyone to take; a control frame is held in memory whole. */
const MAX_CONTROL_BYTES = 64 * 1024;
/** A length has 24 bits. */
export const MAX_FRAME_BYTES = 0xffffff;

const SYN_STREAM = 1;
const SYN_REPLY = 2;
const RST_STREAM = 3;
const SETTINGS = 4;
const PING = 6;
const GOAWAY = 7;
const HEADERS = 8;
const WINDOW_UPDATE = 9;

/** RST_STREAM status codes (section 2.6.3). */
export const RESET = { protocolError: 1, invalidStream: 2, refusedStream: 3, cancel: 5 } as const;
/** GOAWAY status codes (section 2.6.6). */
export const AWAY = { ok: 0, protocolError: 1 } as const;

export interface Setting {
  readonly flags: number;
  readonly id: number;
  readonly value: number;
}

/** `fin`: the sender sends nothing more on this stream. `headers`: the compressed header block. */
export type Frame =
  | {
      readonly type: 'SYN_STREAM';
      readonly streamId: number;
      readonly associatedTo: number;
      /** 0 is the highest, 7 the lowest. */
      readonly priority: number;
      readonly fin: boolean;
      readonly unidirectional: boolean;
      readonly headers: Uint8Array;
    }
  | {
      readonly type: 'SYN_REPLY' | 'HEADERS';
      readonly streamId: number;
      readonly fin: boolean;
      readonly headers: Uint8Array;
    }
  | { readonly type: 'RST_STREAM'; readonly streamId: number; readonly status: number }
  | { readonly type: 'SETTINGS'; readonly clear: boolean; readonly settings: readonly Setting[] }
  | { readonly type: 'PING'; readonly id: number }
  | { readonly type: 'GOAWAY'; readonly lastStreamId: number; readonly status: number }
  | { readonly type: 'WINDOW_UPDATE'; readonly streamId: number; readonly delta: number }
  | { readonly type: 'DATA'; readonly streamId: number; readonly fin: boolean; readonly data: Uint8Array };

/** The bytes of a frame. */
export function emit(frame: Frame): Uint8Array {
  switch (frame.type) {
    case 'DATA':
      return dataFrame(frame.streamId, frame.fin, frame.data);
    case 'SYN_STREAM': {
      const flags = (frame.fin ? FIN : 0) | (frame.unidirectional ? UNIDIRECTIONAL : 0);
      const words = [frame.streamId, frame.associatedTo];
      return control(SYN_STREAM, flags, words, [frame.priority << 5, 0], frame.headers);
    }
    case 'SYN_REPLY':
      return control(SYN_REPLY, frame.fin ? FIN : 0, [frame.streamId], [], frame.headers);
    case 'HEADERS':
      return control(HEADERS, frame.fin ? FIN : 0, [frame.streamId], [], frame.headers);
    case 'RST_STREAM':
      return control(RST_STREAM, 0, [frame.streamId, frame.status]);
    case 'SETTINGS': {
      const words = frame.settings.flatMap(({ flags, id, value }) => [((flags << 24) | id) >>> 0, value]);
      return control(SETTINGS, frame.clear ? CLEAR_SETTINGS : 0, [frame.settings.length, ...words]);
    }
    case 'PING':
      return control(PING, 0, [frame.id]);
    case 'GOAWAY':
      return control(GOAWAY, 0, [frame.lastStreamId, frame.status]);
    case 'WINDOW_UPDATE':
      return control(WINDOW_UPDATE, 0, [frame.streamId, frame.delta]);
  }
}

function dataFrame(streamId: number, fin: boolean, data: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(HEAD_BYTES + data.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, streamId);
  view.setUint32(4, flagsAndLength(fin ? FIN : 0, data.length));
  bytes.set(data, HEAD_BYTES);
  return bytes;
}

function control(
  type: number,
  flags: number,
  words: readonly number[],
  octets: readonly number[] = [],
  block: Uint8Array = new Uint8Array(),
): Uint8Array {
  const length = words.length * 4 + octets.length + block.length;
  const bytes = new Uint8Array(HEAD_BYTES + length);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, 0x8000 | VERSION);
  view.setUint16(2, type);
  view.setUint32(4, flagsAndLength(flags, length));
  for (const [at, word] of words.entries()) view.setUint32(HEAD_BYTES + at * 4, word);
  bytes.set(octets, HEAD_BYTES + words.length * 4);
  bytes.set(block, HEAD_BYTES + words.length * 4 + octets.length);
  return bytes;
}

function flagsAndLength(flags: number, length: number): number {
  if (length > MAX_FRAME_BYTES) throw malformed(`a frame of ${length} bytes is longer than 24 bits can say`);
  return ((flags << 24) | length) >>> 0;
}

/** Takes bytes as they come and gives the frames they complete. After a fault it is of no more use. */
export class FrameParser {
  #chunks: Uint8Array[] = [];
  #held = 0;
  /** How many bytes the next step needs: a frame's head, or the whole frame once its head is known. */
  #need = HEAD_BYTES;

  push(chunk: Uint8Array): Frame[] {
    this.#chunks.push(chunk);
    this.#held += chunk.length;
    const frames: Frame[] = [];
    while (this.#held >= this.#need) {
      const bytes = this.#join();
      const total = HEAD_BYTES + lengthOf(bytes);
      if (bytes.length < total) {
        this.#need = total;
        break;
      }
      const frame = parse(bytes.subarray(0, total));
      if (frame !== undefined) frames.push(frame);
      this.#keep(bytes.subarray(total));
    }
    return frames;
  }

  /** Chunks are joined only when they hold a whole step, so that a long frame is not copied once a chunk. */
  #join(): Uint8Array {
    const [first = new Uint8Array()] = this.#chunks;
    if (this.#chunks.length === 1) return first;
    const bytes = new Uint8Array(this.#held);
    let at = 0;
    for (const chunk of this.#chunks) {
      bytes.set(chunk, at);
      at += chunk.length;
    }
    this.#keep(bytes);
    return bytes;
  }

  #keep(rest: Uint8Array): void {
    this.#chunks = [rest];
    this.#held = rest.length;
    this.#need = HEAD_BYTES;
  }
}

/** The payload's length, checked before the payload is waited for. */
function lengthOf(bytes: Uint8Array): number {
  const view = viewOf(bytes);
  const length = view.getUint32(4) & 0xffffff;
  const isControl = (view.getUint8(0) & 0x80) !== 0;
  if (isControl && length > MAX_CONTROL_BYTES) throw malformed(`a control frame of ${length} bytes`);
  return length;
}

const viewOf = (bytes: Uint8Array): DataView =>
  new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

/** One whole frame; undefined for a control frame of unknown type. */
function parse(bytes: Uint8Array): Frame | undefined {
  const view = viewOf(bytes);
  const flags = view.getUint8(4);
  const fin = (flags & FIN) !== 0;
  if ((view.getUint8(0) & 0x80) === 0) {
    return { type: 'DATA', streamId: view.getUint32(0), fin, data: bytes.subarray(HEAD_BYTES) };
  }
  const version = view.getUint16(0) & 0x7fff;
  if (version !== VERSION) throw malformed(`version ${version} is not ${VERSION}`);
  return parseControl(view.getUint16(2), flags, new Payload(bytes.subarray(HEAD_BYTES)));
}

function parseControl(type: number, flags: number, payload: Payload): Frame | undefined {
  const fin = (flags & FIN) !== 0;
  switch (type) {
    case SYN_STREAM: {
      const streamId = payload.id();
      const associatedTo = payload.id();
      const [priority = 0] = payload.octets(2);
      const unidirectional = (flags & UNIDIRECTIONAL) !== 0;
      const headers = payload.rest();
      return {
        type: 'SYN_STREAM',
        streamId,
        associatedTo,
        priority: priority >> 5,
        fin,
        unidirectional,
        headers,
      };
    }
    case SYN_REPLY:
      return { type: 'SYN_REPLY', streamId: payload.id(), fin, headers: payload.rest() };
    case HEADERS:
      return { type: 'HEADERS', streamId: payload.id(), fin, headers: payload.rest() };
    case RST_STREAM:
      return payload.whole({ type: 'RST_STREAM', streamId: payload.id(), status: payload.word() });
    case SETTINGS: {
      const settings: Setting[] = [];
      for (let left = payload.word(); left > 0; left--) {
        const word = payload.word();
        settings.push({ flags: word >>> 24, id: word & 0xffffff, value: payload.word() });
      }
      return payload.whole({ type: 'SETTINGS', clear: (flags & CLEAR_SETTINGS) !== 0, settings });
    }
    case PING:
      return payload.whole({ type: 'PING', id: payload.word() });
    case GOAWAY:
      return payload.whole({ type: 'GOAWAY', lastStreamId: payload.id(), status: payload.word() });
    case WINDOW_UPDATE:
      return payload.whole({ type: 'WINDOW_UPDATE', streamId: payload.id(), delta: payload.id() });
    default:
      return undefined;
  }
}

/** Reads a payload from front to back. */
class Payload {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  octets(count: number): Uint8Array {
    const end = this.#at + count;
    if (end > this.#bytes.length) throw malformed('a control frame is shorter than its type needs');
    const octets = this.#bytes.subarray(this.#at, end);
    this.#at = end;
    return octets;
  }

  word(): number {
    return viewOf(this.octets(4)).getUint32(0);
  }

  /** 31 bits; the first is reserved. */
  id(): number {
    return this.word() & 0x7fffffff;
  }

  rest(): Uint8Array {
    return this.octets(this.#bytes.length - this.#at);
  }

  whole<T extends Frame>(frame: T): T {
    if (this.#at !== this.#bytes.length)
      throw malformed(`a ${frame.type} frame is longer than its type needs`);
    return frame;
  }
}

const malformed = (what: string): Fault =>
  new Fault('FE006', `SPDY: ${what}`, 'the client must speak SPDY/3.1');
