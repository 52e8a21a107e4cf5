import { once } from 'node:events';
import { duplexPair } from 'node:stream';
import { text } from 'node:stream/consumers';
import { constants, createDeflate } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SpdyConnection, type SpdyStream } from './connection.ts';
import { DICTIONARY } from './dictionary.ts';
import { emit, type Frame, FrameParser } from './frame.ts';
import { encodeHeaders, type HeaderBlock, HeaderCompressor, HeaderDecompressor } from './headers.ts';

const id = fc.integer({ min: 0, max: 0x7fffffff });
const word = fc.nat({ max: 0xffffffff });
const bytes = fc.uint8Array({ maxLength: 300 });
const frame: fc.Arbitrary<Frame> = fc.oneof(
  fc.record({
    type: fc.constant('SYN_STREAM' as const),
    streamId: id,
    associatedTo: id,
    priority: fc.integer({ min: 0, max: 7 }),
    fin: fc.boolean(),
    unidirectional: fc.boolean(),
    headers: bytes,
  }),
  fc.record({
    type: fc.constantFrom('SYN_REPLY' as const, 'HEADERS' as const),
    streamId: id,
    fin: fc.boolean(),
    headers: bytes,
  }),
  fc.record({ type: fc.constant('RST_STREAM' as const), streamId: id, status: word }),
  fc.record({
    type: fc.constant('SETTINGS' as const),
    clear: fc.boolean(),
    settings: fc.array(fc.record({ flags: fc.nat(255), id: fc.nat(0xffffff), value: word }), {
      maxLength: 5,
    }),
  }),
  fc.record({ type: fc.constant('PING' as const), id: word }),
  fc.record({ type: fc.constant('GOAWAY' as const), lastStreamId: id, status: word }),
  fc.record({ type: fc.constant('WINDOW_UPDATE' as const), streamId: id, delta: id }),
  fc.record({ type: fc.constant('DATA' as const), streamId: id, fin: fc.boolean(), data: bytes }),
);
const headers: fc.Arbitrary<HeaderBlock> = fc
  .dictionary(
    fc.stringMatching(/^[a-z][a-z-]{0,12}$/),
    fc.array(fc.stringMatching(/^[ -~]{0,20}$/), { minLength: 1, maxLength: 3 }),
  )
  .map((record) => new Map(Object.entries(record)));

describe('frames', () => {
  it('come back as they went, however the bytes are cut', () => {
    fc.assert(
      fc.property(fc.array(frame, { maxLength: 8 }), fc.array(fc.nat({ max: 80 })), (frames, cuts) => {
        const wire = Buffer.concat(frames.map(emit));
        const parser = new FrameParser();
        const got: Frame[] = [];
        let at = 0;
        for (const cut of cuts) {
          got.push(...parser.push(wire.subarray(at, at + cut)));
          at += cut;
        }
        got.push(...parser.push(wire.subarray(at)));
        expect(got.map(plain)).toEqual(frames.map(plain));
      }),
    );
  });

  it('are what the draft says', () => {
    expect(Buffer.from(emit({ type: 'PING', id: 1 })).toString('hex')).toBe('800300060000000400000001');
    const data = emit({ type: 'DATA', streamId: 5, fin: true, data: Buffer.from('hi') });
    expect(Buffer.from(data).toString('hex')).toBe('00000005010000026869');
  });

  it.each([
    ['another version', '800200060000000400000001', 'version 2'],
    ['a ping too short', '8003000600000000', 'shorter'],
    ['a ping too long', '80030006000000050000000100', 'longer'],
    ['a control frame past the bound', '8003000100ffffff', 'a control frame of'],
  ])('are refused: %s', (_what, hex, message) => {
    expect(() => new FrameParser().push(Buffer.from(hex, 'hex'))).toThrow(message);
  });

  it('never crash the parser', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (noise) => {
        try {
          new FrameParser().push(noise);
        } catch (error) {
          expect(error).toMatchObject({ code: 'FE006' });
        }
      }),
    );
  });
});

/** Bytes as text, so that equal bytes compare equal whatever holds them. */
const plain = (one: Frame): Record<string, unknown> =>
  Object.fromEntries(
    Object.entries(one).map(([key, value]) => [
      key,
      value instanceof Uint8Array ? Buffer.from(value).toString('latin1') : value,
    ]),
  );

describe('header blocks', () => {
  it('come back as they went, through one compression a connection', () => {
    fc.assert(
      fc.property(fc.array(headers, { maxLength: 6 }), (blocks) => {
        const compressor = new HeaderCompressor();
        const decompressor = new HeaderDecompressor();
        for (const block of blocks) {
          expect(decompressor.decompress(compressor.compress(block))).toEqual(block);
        }
      }),
    );
  });

  it('are read from a zlib stream that refers back, past its window', async () => {
    const peer = createDeflate({ dictionary: DICTIONARY, level: 9 });
    const decompressor = new HeaderDecompressor();
    for (let at = 0; at < 400; at++) {
      const block = new Map([
        ['streamtype', ['data']],
        ['requestid', [String(at)]],
        ['filler', [`${'x'.repeat(at)}${at * 7919}`]],
      ]);
      peer.write(encodeHeaders(block));
      const flushed = new Promise<void>((resolve) => peer.flush(constants.Z_SYNC_FLUSH, resolve));
      await flushed;
      expect(decompressor.decompress(peer.read() as Buffer)).toEqual(block);
    }
  });

  it('that are no zlib, or grow without bound, are refused', () => {
    expect(() => new HeaderDecompressor().decompress(Buffer.from('no zlib at all'))).toThrow(
      'no zlib header',
    );
    const bomb = new HeaderCompressor().compress(new Map([['a', ['x'.repeat(1_000_000)]]]));
    expect(() => new HeaderDecompressor().decompress(bomb)).toThrow('does not inflate');
  });
});

/** The client's side, by hand. */
class Peer {
  readonly accepted: SpdyStream[] = [];
  readonly connection: SpdyConnection;
  readonly #side;
  readonly #parser = new FrameParser();
  readonly #compressor = new HeaderCompressor();
  readonly #frames: Frame[] = [];
  #wake: () => void = () => undefined;

  constructor() {
    const [here, there] = duplexPair();
    this.#side = here;
    this.connection = new SpdyConnection(there, (stream) => this.accepted.push(stream));
    here.once('end', () => here.end());
    here.on('data', (chunk: Buffer) => {
      this.#frames.push(...this.#parser.push(chunk));
      this.#wake();
    });
  }

  /** Whether the other side is still reading. */
  send(frame: Frame): boolean {
    return this.#side.write(emit(frame));
  }

  open(streamId: number, block: HeaderBlock): void {
    const packed = this.#compressor.compress(block);
    const rest = { associatedTo: 0, priority: 0, fin: false, unidirectional: false };
    this.send({ type: 'SYN_STREAM', streamId, headers: packed, ...rest });
  }

  async next(): Promise<Record<string, unknown>> {
    for (;;) {
      const frame = this.#frames.shift();
      if (frame !== undefined) return plain(frame);
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  /** Frames that came and were not asked for. */
  get unread(): readonly Frame[] {
    return this.#frames;
  }

  leave(): void {
    this.#side.end();
  }

  drained(): Promise<unknown> {
    return once(this.#side, 'drain');
  }
}

describe('a connection', () => {
  it('accepts streams, answers pings, and closes one way at a time', async () => {
    const peer = new Peer();
    peer.open(1, new Map([['streamtype', ['stdin']]]));
    expect(await peer.next()).toMatchObject({ type: 'SYN_REPLY', streamId: 1 });
    peer.send({ type: 'PING', id: 7 });
    expect(await peer.next()).toEqual({ type: 'PING', id: 7 });
    const [stream] = peer.accepted;
    expect(stream?.header('streamtype')).toBe('stdin');
    peer.send({ type: 'DATA', streamId: 1, fin: false, data: Buffer.from('to the ') });
    peer.send({ type: 'DATA', streamId: 1, fin: true, data: Buffer.from('end') });
    expect(stream && (await text(stream))).toBe('to the end');
    stream?.end('answer');
    expect(await peer.next()).toMatchObject({ type: 'DATA', fin: false, data: 'answer' });
    expect(await peer.next()).toMatchObject({ type: 'DATA', fin: true, streamId: 1 });
    peer.connection.close();
    peer.leave();
    await peer.connection.closed;
    expect(peer.unread).toEqual([]);
  });

  it('says goodbye to a client that stays when all is said', async () => {
    const peer = new Peer();
    peer.open(1, new Map());
    await peer.next();
    peer.connection.close(20);
    expect(await peer.next()).toEqual({ type: 'GOAWAY', lastStreamId: 1, status: 0 });
    await peer.connection.closed;
  });

  it('resets a stream that is destroyed, and data for one that never was', async () => {
    const peer = new Peer();
    peer.open(1, new Map());
    await peer.next();
    peer.accepted[0]?.destroy();
    expect(await peer.next()).toEqual({ type: 'RST_STREAM', streamId: 1, status: 5 });
    peer.send({ type: 'DATA', streamId: 9, fin: false, data: Buffer.from('x') });
    expect(await peer.next()).toEqual({ type: 'RST_STREAM', streamId: 9, status: 2 });
    peer.open(2, new Map());
    expect(await peer.next()).toEqual({ type: 'RST_STREAM', streamId: 2, status: 1 });
  });

  it('stops reading while a stream is full, and goes on when it is read', async () => {
    const peer = new Peer();
    peer.open(1, new Map());
    await peer.next();
    const chunk = { type: 'DATA', streamId: 1, fin: false, data: Buffer.alloc(64 * 1024) } as const;
    let sent = 0;
    while (peer.send(chunk) || (await settled(peer))) {
      sent += chunk.data.length;
      expect(sent).toBeLessThan(2_000_000);
    }
    const drained = peer.drained();
    peer.accepted[0]?.resume();
    await drained;
  });

  it('ends with a GOAWAY when the client breaks the protocol', async () => {
    const peer = new Peer();
    const { closed } = peer.connection;
    peer.send({ type: 'SYN_REPLY', streamId: 1, fin: false, headers: Buffer.from('not compressed') });
    expect(await closed).toMatchObject({ code: 'FE006' });
  });

  it('tells every stream when the client goes', async () => {
    const peer = new Peer();
    peer.open(1, new Map());
    await peer.next();
    const [stream] = peer.accepted;
    const closed = stream && once(stream, 'close');
    peer.connection.destroy();
    await closed;
    await peer.connection.closed;
  });
});

/** Lets what is on its way arrive; true if the other side took it. */
async function settled(peer: Peer): Promise<boolean> {
  const later = new Promise<false>((resolve) => setTimeout(resolve, 100, false));
  return Promise.race([peer.drained().then(() => true), later]);
}
