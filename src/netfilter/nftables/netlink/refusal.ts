import type { ElementBatch } from './element-batch.ts';
import { HOST_LITTLE_ENDIAN } from './message-writer.ts';

/** NLMSG_ERROR: an nlmsgerr, whose error is 0 in an acknowledgement (include/uapi/linux/netlink.h). */
const NLMSG_ERROR = 2;
const HEADER = 16;

/** What the kernel may say to a transaction of elements, and what that means here. */
const ERRORS: ReadonlyMap<number, string> = new Map([
  [1, 'EPERM: not allowed in this network namespace'],
  [2, 'ENOENT: the kernel does not hold what was named'],
  [12, 'ENOMEM: the kernel has no memory for it'],
  [16, 'EBUSY: the element stands with another value'],
  [17, 'EEXIST: the element stands already'],
  [22, 'EINVAL: the set is of another type'],
  [23, 'ENFILE: the set is full'],
  [90, 'EMSGSIZE: the transaction is larger than the socket may send'],
  [105, 'ENOBUFS: answers were lost'],
]);

export const nameOfErrno = (errno: number): string => ERRORS.get(errno) ?? `error ${errno}`;

/**
 * Why the kernel refused a batch, or undefined if it committed it.
 * @param replies everything the kernel answered, one netlink message after another
 */
export function refusalOf(batch: ElementBatch, replies: Uint8Array): string | undefined {
  const refusals: string[] = [];
  let acknowledged = false;
  for (const { sequence, errno } of answersIn(replies)) {
    if (errno !== 0) {
      const subject = batch.subjects.get(sequence) ?? 'the transaction';
      refusals.push(`${subject}: ${nameOfErrno(errno)}`);
    } else if (sequence === batch.last) acknowledged = true;
  }
  if (refusals.length > 0) return refusals.join('; ');
  return acknowledged ? undefined : 'the kernel did not acknowledge the transaction';
}

interface Answer {
  /** That of the message it answers. */
  readonly sequence: number;
  /** Positive; 0 in an acknowledgement. */
  readonly errno: number;
}

function* answersIn(replies: Uint8Array): IterableIterator<Answer> {
  const view = new DataView(replies.buffer, replies.byteOffset, replies.byteLength);
  for (let at = 0; at + HEADER <= view.byteLength; ) {
    const length = view.getUint32(at, HOST_LITTLE_ENDIAN);
    if (length < HEADER || at + length > view.byteLength) throw new Error('a netlink answer was cut off');
    if (view.getUint16(at + 4, HOST_LITTLE_ENDIAN) === NLMSG_ERROR && length >= HEADER + 4) {
      const sequence = view.getUint32(at + 8, HOST_LITTLE_ENDIAN);
      yield { sequence, errno: -view.getInt32(at + HEADER, HOST_LITTLE_ENDIAN) };
    }
    at += (length + 3) & ~3;
  }
}
