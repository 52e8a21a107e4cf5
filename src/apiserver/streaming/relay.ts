/**
 * An exec or attach session: the client's streams on one side, the kubelet's channels on the other.
 */
import { finished, type Readable, type Writable } from 'node:stream';
import { text } from 'node:stream/consumers';
import type { Status } from '../../kube/objects.ts';
import { CHANNEL, type ChannelSocket } from './channels.ts';
import { statusIn } from './kubelet.ts';
import { refused } from './refusal.ts';

/** The client's end, whichever wire it speaks. Streams it did not ask for are not there. */
export interface ClientEnd {
  readonly stdin?: Readable;
  readonly stdout?: Writable;
  readonly stderr?: Writable;
  /** JSON objects `{"Width", "Height"}`. */
  readonly resize?: Readable;
  /** Tells the outcome, after all output, and ends the session. */
  finish(outcome: Status): void;
  /** Resolves when the client's connection is over, whoever ended it. */
  readonly closed: Promise<unknown>;
}

/** Relays until the command has ended or the client has gone. */
export async function relay(client: ClientEnd, kubelet: ChannelSocket): Promise<void> {
  kubelet.ignore(CHANNEL.stdin, CHANNEL.resize);
  if (client.stdin) void feed(client.stdin, kubelet.channel(CHANNEL.stdin));
  if (client.resize) void feed(client.resize, kubelet.channel(CHANNEL.resize));
  const ended = Promise.all([
    text(kubelet.channel(CHANNEL.error)),
    feed(kubelet.channel(CHANNEL.stdout), client.stdout),
    feed(kubelet.channel(CHANNEL.stderr), client.stderr),
  ]);
  const outcome = await Promise.race([ended, client.closed.then(() => undefined)]);
  if (outcome === undefined) {
    kubelet.terminate();
    return;
  }
  client.finish(
    statusIn(outcome[0]) ?? refused(500, 'the kubelet ended the stream without telling the outcome').status,
  );
  kubelet.close();
}

/**
 * Pipes until `from` has ended and `to` has taken it all. When `to` goes first, or is not there, the rest is read and
 * dropped: the other streams of the same connection wait behind it.
 */
export function feed(from: Readable, to: Writable | undefined): Promise<void> {
  return new Promise((resolve) => {
    if (to === undefined) {
      from.resume();
      // However it ended, there is nothing left to move; the session's outcome says why.
      finished(from, { writable: false }, () => resolve());
      return;
    }
    from.pipe(to);
    finished(to, { readable: false }, () => {
      from.unpipe(to);
      from.resume();
      resolve();
    });
  });
}
