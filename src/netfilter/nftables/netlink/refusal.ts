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
    if (errno === undefined) continue;
    if (errno !== 0) {
      const subject = batch.subjects.get(sequence) ?? 'the transaction';
      refusals.push(`${subject}: ${nameOfErrno(errno)}`);
    } else if (sequence === batch.last) acknowledged = true;
  }
  if (refusals.length > 0) return refusals.join('; ');
  return acknowledged ? undefined : 'the kernel did not acknowledge the transaction';
}

/** An answer of the kernel: to a batch an nlmsgerr for each message that failed or is acknowledged, to a question what was asked. */
export interface Answer {
  readonly type: number;
  /** That of the message it answers. */
  readonly sequence: number;
  /** Positive for a failure, 0 in an acknowledgement; undefined where the answer is no nlmsgerr. */
  readonly errno?: number;
}

export function* answersIn(replies: Uint8Array): IterableIterator<Answer> {
  const view = new DataView(replies.buffer, replies.byteOffset, replies.byteLength);
  for (let at = 0; at + HEADER <= view.byteLength; ) {
    const length = view.getUint32(at, HOST_LITTLE_ENDIAN);
    if (length < HEADER || at + length > view.byteLength) throw new Error('a netlink answer was cut off');
    const type = view.getUint16(at + 4, HOST_LITTLE_ENDIAN);
    const sequence = view.getUint32(at + 8, HOST_LITTLE_ENDIAN);
    const isError = type === NLMSG_ERROR && length >= HEADER + 4;
    const errno = isError ? { errno: -view.getInt32(at + HEADER, HOST_LITTLE_ENDIAN) } : {};
    yield { type, sequence, ...errno };
    at += (length + 3) & ~3;
  }
}
