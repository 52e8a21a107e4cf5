import type { Answer } from 'dns-packet';
import type { Question, Reply } from './answer.ts';

/** As CoreDNS's cache plugin: so many entries of each kind, so long at most; in seconds. */
const MAX_ENTRIES = 9_984;
const MAX_TTL = 3_600;
const MAX_NEGATIVE_TTL = 1_800;

interface Entry {
  readonly reply: Reply;
  readonly storedAt: number;
  readonly ttl: number;
}

/**
 * What other servers said, as long as they said it holds (RFC 2181, RFC 2308). TTLs count down while an answer is kept.
 * Times are in milliseconds and passed in.
 */
export class ReplyCache {
  /** Oldest first: a Map keeps the order of insertion. */
  readonly #entries = new Map<string, Entry>();

  get(question: Question, now: number): Reply | undefined {
    const key = keyOf(question);
    const entry = this.#entries.get(key);
    if (entry === undefined) return undefined;
    const age = Math.floor((now - entry.storedAt) / 1000);
    if (age < entry.ttl) return aged(entry.reply, age, question);
    this.#entries.delete(key);
    return undefined;
  }

  put(question: Question, reply: Reply, now: number): void {
    const ttl = ttlOf(reply);
    if (ttl === 0) return;
    const key = keyOf(question);
    this.#entries.delete(key);
    this.#entries.set(key, { reply, storedAt: now, ttl });
    if (this.#entries.size <= MAX_ENTRIES) return;
    const [oldest] = this.#entries.keys();
    if (oldest !== undefined) this.#entries.delete(oldest);
  }

  get size(): number {
    return this.#entries.size;
  }
}

const keyOf = ({ name, type }: Question): string => `${name.toLowerCase()} ${type}`;

/** Seconds; 0 for what must not be kept. */
function ttlOf({ rcode, answers, authorities }: Reply): number {
  if (rcode === 'NOERROR' && answers.length > 0) return Math.min(MAX_TTL, ...answers.map(ttl));
  if (rcode !== 'NOERROR' && rcode !== 'NXDOMAIN') return 0;
  const soa = authorities.find((record) => record.type === 'SOA');
  // An absence without an SOA must not be kept (RFC 2308, 5).
  return soa === undefined ? 0 : Math.min(MAX_NEGATIVE_TTL, ttl(soa), soa.data.minimum ?? 0);
}

const ttl = (record: Answer): number => ('ttl' in record ? (record.ttl ?? 0) : 0);

/** The case of the name is that of who asks now. */
function aged(reply: Reply, age: number, question: Question): Reply {
  const asked = question.name.toLowerCase();
  const older = (records: readonly Answer[]): Answer[] =>
    records.map((record) => ({
      ...record,
      name: record.name.toLowerCase() === asked ? question.name : record.name,
      ...('ttl' in record && { ttl: Math.max(0, ttl(record) - age) }),
    }));
  return {
    ...reply,
    answers: older(reply.answers),
    authorities: older(reply.authorities),
    additionals: older(reply.additionals),
  };
}
