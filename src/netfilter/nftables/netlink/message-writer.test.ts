import { describe, expect, it } from 'vitest';
import { MessageWriter } from './message-writer.ts';

describe('MessageWriter', () => {
  it.each([1, 2, 3, 4, 7, 8, 15, 16, 20])(
    'writes across the end of a buffer of %i bytes as in a large one',
    (capacity) => {
      const write = (writer: MessageWriter): Uint8Array => {
        const message = writer.beginMessage(1, 2, 3, 4, 5);
        const outer = writer.beginNested(6);
        writer.text(7, 'name');
        writer.number(8, 9);
        const inner = writer.beginAttribute(10);
        writer.uint8(11);
        writer.uint16(12);
        writer.uint32(13);
        writer.hostUint32(14);
        writer.uint128(15n);
        writer.endAttribute(inner);
        writer.endAttribute(outer);
        writer.endMessage(message);
        return writer.bytes();
      };
      expect(write(new MessageWriter(capacity))).toEqual(write(new MessageWriter(4096)));
    },
  );

  it.each(['uint8', 'uint16', 'uint32', 'hostUint32'] as const)('grows while it writes a %s', (kind) => {
    const writer = new MessageWriter(1);
    for (let value = 1; value <= 200; value++) writer[kind](value);
    const [small, large] = [writer.bytes(), new MessageWriter(4096)];
    for (let value = 1; value <= 200; value++) large[kind](value);
    expect(small).toEqual(large.bytes());
  });
});
