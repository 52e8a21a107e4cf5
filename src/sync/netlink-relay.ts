import type { Readable } from 'node:stream';
import type { Exec, Running } from '../exec/exec.ts';
import { errorFields, type Log } from '../fault/log.ts';
import { nameOfErrno } from '../netfilter/netfilter.ts';

/** How long the kernel may take for a batch; a million elements are some seconds. */
const ANSWER_WITHIN_MS = 300_000;
/** Each answer: how long the replies are, and the errno of the send or of a receive that lost some. */
const HEAD = 8;

/**
 * Sends netlink batches to nf_tables in the network namespace of an {@link Exec}, and gives what the kernel replied. Node
 * cannot open such a socket, so a small process holds it: Perl, which every Debian has and which starts in some
 * milliseconds. It is started by the first batch, again by the first after it has died, and ends with {@link close} or
 * with this process.
 */
export class NetlinkRelay {
  readonly #exec: Exec;
  readonly #log: Log;
  #process: Promise<RelayProcess> | undefined;
  #ready: Promise<boolean> | undefined;
  /** One batch after another. */
  #turn: Promise<unknown> = Promise.resolve();

  constructor(exec: Exec, log: Log) {
    this.#exec = exec;
    this.#log = log;
  }

  /** Whether there is one; where Perl is missing or the socket cannot be had there never is, and the log says so once. */
  ready(): Promise<boolean> {
    this.#ready ??= this.#running().then(
      () => true,
      (error) => {
        this.#log.warn('no netlink relay: every change of the rules goes through nft', errorFields(error));
        return false;
      },
    );
    return this.#ready;
  }

  /**
   * The kernel's replies to a batch, which has been committed or refused by then. Throws if the batch could not be sent, or
   * if the relay died, when nobody knows whether it was committed.
   */
  send(batch: Uint8Array): Promise<Uint8Array> {
    const sent = this.#turn.then(async () => (await this.#running()).send(batch));
    this.#turn = sent.catch(() => undefined);
    return sent;
  }

  /** Resolves when the process has ended. */
  async close(): Promise<void> {
    const process = this.#process;
    this.#process = undefined;
    await process?.then(
      (one) => one.close(),
      () => undefined,
    );
  }

  #running(): Promise<RelayProcess> {
    if (this.#process !== undefined) return this.#process;
    const starting = RelayProcess.start(this.#exec);
    this.#process = starting;
    const forget = () => {
      if (this.#process === starting) this.#process = undefined;
    };
    starting.then((process) => process.ended.then(forget), forget);
    return starting;
  }
}

class RelayProcess {
  readonly #running: Running;
  readonly #answers: AnswerReader;
  #complaint = '';

  private constructor(running: Running) {
    if (running.stdout === null) throw new Error('the relay needs its output');
    this.#running = running;
    this.#answers = new AnswerReader(running.stdout);
    running.stderr?.on('data', (text: Buffer) => {
      this.#complaint = `${this.#complaint}${text}`.slice(0, 1000);
    });
    // Writing to a relay that has died fails by its missing answer.
    running.stdin?.on('error', () => undefined);
  }

  /** Resolves when it has its socket. */
  static async start(exec: Exec): Promise<RelayProcess> {
    const piped = { stdin: 'pipe', stdout: 'pipe', stderr: 'pipe' } as const;
    const relay = new RelayProcess(await exec.start('perl', ['-e', RELAY], piped));
    await relay.#answer();
    return relay;
  }

  get ended(): Promise<unknown> {
    return this.#running.ended;
  }

  async send(batch: Uint8Array): Promise<Uint8Array> {
    const head = Buffer.alloc(4);
    head.writeUInt32BE(batch.length);
    this.#running.stdin?.write(head);
    this.#running.stdin?.write(batch);
    return this.#answer();
  }

  async close(): Promise<void> {
    this.#running.stdin?.end();
    await this.#running.ended;
  }

  async #answer(): Promise<Uint8Array> {
    const late = Promise.withResolvers<never>();
    const timer = setTimeout(() => {
      this.#running.kill('SIGKILL');
      late.reject(new Error(`the netlink relay did not answer within ${ANSWER_WITHIN_MS} ms`));
    }, ANSWER_WITHIN_MS);
    try {
      const answer = await Promise.race([this.#answers.next(), late.promise]);
      if (answer === undefined) throw new Error(`the netlink relay has ended. ${this.#complaint}`.trim());
      if (answer.errno !== 0) throw new Error(`netlink: ${nameOfErrno(answer.errno)}`);
      return answer.replies;
    } finally {
      clearTimeout(timer);
    }
  }
}

interface RelayAnswer {
  readonly errno: number;
  readonly replies: Uint8Array;
}

/** Cuts what the relay prints into its answers. */
class AnswerReader {
  readonly #chunks: AsyncIterator<Buffer>;
  #rest: Buffer = Buffer.alloc(0);

  constructor(stream: Readable) {
    this.#chunks = stream[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
  }

  /** Undefined when there will be none any more. */
  async next(): Promise<RelayAnswer | undefined> {
    for (;;) {
      const length = this.#rest.length < HEAD ? 0 : this.#rest.readUInt32BE(0);
      if (this.#rest.length >= HEAD + length) {
        const answer = {
          errno: this.#rest.readUInt32BE(4),
          replies: this.#rest.subarray(HEAD, HEAD + length),
        };
        this.#rest = this.#rest.subarray(HEAD + length);
        return answer;
      }
      const { value, done } = await this.#chunks.next();
      if (done === true) return undefined;
      this.#rest = Buffer.concat([this.#rest, value]);
    }
  }
}

/**
 * perl -e RELAY: reads a length and a batch, sends the batch in one piece, and prints the kernel's replies; the kernel has
 * them ready when the send returns. 16 is AF_NETLINK, 12 NETLINK_NETFILTER; at level 270 (SOL_NETLINK) option 10
 * (NETLINK_CAP_ACK) spares copies of the batch in errors; at level 1 (SOL_SOCKET) 32 and 33 (SO_SNDBUFFORCE, SO_RCVBUFFORCE)
 * pass the limits of SO_SNDBUF (7), which is tried where they are not allowed; 0x40 is MSG_DONTWAIT. The empty answer at
 * the start says that the socket is there.
 */
const RELAY = String.raw`
use strict;
binmode STDIN; binmode STDOUT;
socket(my $netlink, 16, 3, 12) or die "no netlink socket: $!\n";
bind($netlink, pack('SSLL', 16, 0, 0, 0)) or die "no netlink address: $!\n";
setsockopt($netlink, 270, 10, pack('i', 1));
setsockopt($netlink, 1, 33, pack('i', 1 << 22));
my $room = 0;
sub answer {
  my ($errno, $replies) = @_;
  my $out = pack('NN', length $replies, $errno) . $replies;
  while (length $out) { my $n = syswrite(STDOUT, $out) or exit; substr($out, 0, $n, '') }
}
answer(0, '');
while (read(STDIN, my $head, 4) == 4) {
  my $length = unpack('N', $head);
  (read(STDIN, my $batch, $length) // 0) == $length or last;
  if ($length + 4096 > $room) {
    $room = $length + 4096;
    setsockopt($netlink, 1, 32, pack('i', $room)) or setsockopt($netlink, 1, 7, pack('i', $room));
  }
  if (!defined send($netlink, $batch, 0)) { answer($! + 0, ''); next }
  my ($replies, $errno) = ('', 0);
  for (;;) {
    if (defined recv($netlink, my $reply, 1 << 16, 0x40)) { $replies .= $reply }
    else { $errno = $! + 0 unless $!{EAGAIN}; last }
  }
  answer($errno, $replies);
}
`;
