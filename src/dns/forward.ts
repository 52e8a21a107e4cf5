/**
 * Questions about other names, to other servers: over UDP, over TCP when the answer was cut, the next server when one does
 * not answer. Answers are cached.
 */

import { randomInt } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { connect } from 'node:net';
import { Fault } from '../fault/fault.ts';
import { Addr, Endpoint, portOf } from '../ip/ip.ts';
import type { Question, Reply } from './answer.ts';
import { ReplyCache } from './cache.ts';
import { messagesOf, withLength } from './tcp.ts';
import { decodeReply, encodeQuestion } from './wire.ts';

const TIMEOUT_MS = 2_000;
const DNS_PORT = 53;

/** Another server. Shape: `10.0.0.2`, `10.0.0.2:5353` or `[2001:db8::1]:53`. Throws {@link Fault} FE006. */
export function parseUpstream(text: string): Endpoint {
  return Addr.isAddr(text) ? new Endpoint(Addr.parse(text), portOf(DNS_PORT)) : Endpoint.parse(text);
}

export class Forwarder {
  readonly #upstreams: readonly Endpoint[];
  readonly #now: () => number;
  readonly #cache = new ReplyCache();
  /** Questions on their way: the same one is not asked twice at a time. */
  readonly #asking = new Map<string, Promise<Reply>>();
  /** Told of every question: whether the cache knew it. */
  readonly #looked: (hit: boolean) => void;

  constructor(upstreams: readonly Endpoint[], now: () => number, looked: (hit: boolean) => void) {
    this.#upstreams = upstreams;
    this.#now = now;
    this.#looked = looked;
  }

  /** SERVFAIL when no server gives an answer. */
  async resolve(question: Question): Promise<Reply> {
    const known = this.#cache.get(question, this.#now());
    this.#looked(known !== undefined);
    if (known !== undefined) return known;
    const key = `${question.name} ${question.type}`;
    const asking = this.#asking.get(key) ?? this.#ask(question).finally(() => this.#asking.delete(key));
    this.#asking.set(key, asking);
    return asking;
  }

  async #ask(question: Question): Promise<Reply> {
    for (const upstream of this.#upstreams) {
      const reply = await exchange(upstream, question);
      if (reply === undefined) continue;
      this.#cache.put(question, reply, this.#now());
      return reply;
    }
    return { rcode: 'SERVFAIL', authoritative: false, answers: [], authorities: [], additionals: [] };
  }
}

/** Undefined: this server gave no answer in time. */
async function exchange(upstream: Endpoint, question: Question): Promise<Reply | undefined> {
  try {
    const over = await overUdp(upstream, question);
    return over.isCut ? await overTcp(upstream, question) : over.reply;
  } catch (error) {
    if (error instanceof Fault || isNetworkError(error)) return undefined;
    throw error;
  }
}

const isNetworkError = (error: unknown): boolean => error instanceof Error && 'syscall' in error;

const silent = (upstream: Endpoint): Fault =>
  new Fault('FE003', `${upstream} gave no DNS answer in ${TIMEOUT_MS} ms`, 'check --forward');

/** A socket a question: its port is as random as its id (RFC 5452). */
function overUdp(upstream: Endpoint, question: Question): Promise<{ reply: Reply; isCut: boolean }> {
  const socket = createSocket(upstream.addr.family === 4 ? 'udp4' : 'udp6');
  const id = randomInt(0x10000);
  const done = new Promise<{ reply: Reply; isCut: boolean }>((resolve, reject) => {
    const timer = setTimeout(() => reject(silent(upstream)), TIMEOUT_MS);
    socket.once('close', () => clearTimeout(timer));
    socket.on('error', reject);
    socket.on('message', (bytes) => {
      const answer = decodeReply(bytes, id, question);
      if (answer !== undefined) resolve(answer);
    });
    socket.connect(upstream.port, upstream.addr.text, () => socket.send(encodeQuestion(id, question)));
  });
  return done.finally(() => socket.close());
}

async function overTcp(upstream: Endpoint, question: Question): Promise<Reply> {
  const id = randomInt(0x10000);
  const socket = connect({ host: upstream.addr.text, port: upstream.port, timeout: TIMEOUT_MS });
  socket.once('timeout', () => socket.destroy(silent(upstream)));
  socket.write(withLength(encodeQuestion(id, question)));
  for await (const bytes of messagesOf(socket)) {
    const answer = decodeReply(bytes, id, question);
    if (answer !== undefined) return answer.reply;
  }
  throw silent(upstream);
}
