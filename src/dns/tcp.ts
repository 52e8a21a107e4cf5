/** DNS over TCP: messages led by their length in two bytes (RFC 1035, 4.2.2). */

/** Ends with the stream; breaking off destroys it, as a `for await` over a stream does. */
export async function* messagesOf(stream: AsyncIterable<unknown>): AsyncGenerator<Buffer, void, undefined> {
  let held = Buffer.alloc(0);
  for await (const chunk of stream) {
    held = Buffer.concat([held, chunk as Buffer]);
    while (held.length >= 2 && held.length >= 2 + held.readUInt16BE(0)) {
      const end = 2 + held.readUInt16BE(0);
      yield held.subarray(2, end);
      held = held.subarray(end);
    }
  }
}

export function withLength(message: Buffer): Buffer {
  const length = Buffer.alloc(2);
  length.writeUInt16BE(message.length);
  return Buffer.concat([length, message]);
}
