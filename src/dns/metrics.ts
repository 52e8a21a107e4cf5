import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { Rcode } from './answer.ts';

/** One question that was answered. */
export interface Served {
  readonly protocol: 'udp' | 'tcp';
  readonly family: 4 | 6;
  readonly type: string;
  readonly rcode: Rcode;
  readonly seconds: number;
  readonly bytes: number;
  readonly isOwn: boolean;
}

/** Types that are counted by name; others would let clients make labels without end. */
const COUNTED = new Set('A AAAA ANY CNAME HTTPS MX NAPTR NS PTR SOA SRV TXT'.split(' '));

/** Names and labels are those of CoreDNS, so that its dashboards and alerts work. */
export class DnsMetrics {
  readonly registry = new Registry();
  readonly #requests = new Counter({
    name: 'coredns_dns_requests_total',
    help: 'Questions, by protocol, family and type.',
    labelNames: ['server', 'zone', 'proto', 'family', 'type'],
    registers: [this.registry],
  });
  readonly #responses = new Counter({
    name: 'coredns_dns_responses_total',
    help: 'Answers, by response code.',
    labelNames: ['server', 'zone', 'rcode', 'plugin'],
    registers: [this.registry],
  });
  readonly #seconds = new Histogram({
    name: 'coredns_dns_request_duration_seconds',
    help: 'How long an answer took.',
    labelNames: ['server', 'zone'],
    buckets: Array.from({ length: 16 }, (_, at) => 0.00025 * 2 ** at),
    registers: [this.registry],
  });
  readonly #bytes = new Histogram({
    name: 'coredns_dns_response_size_bytes',
    help: 'How long an answer was.',
    labelNames: ['server', 'zone', 'proto'],
    buckets: [0, 100, 200, 300, 400, 511, 1023, 2047, 4095, 8291, 16e3, 32e3, 48e3, 64e3],
    registers: [this.registry],
  });
  readonly #hits = new Counter({
    name: 'coredns_cache_hits_total',
    help: 'Questions to other servers that the cache answered.',
    labelNames: ['server'],
    registers: [this.registry],
  });
  readonly #misses = new Counter({
    name: 'coredns_cache_misses_total',
    help: 'Questions to other servers that the cache did not answer.',
    labelNames: ['server'],
    registers: [this.registry],
  });
  readonly #server: string;
  readonly #zone: string;

  constructor(server: string, zone: string, isSynced: () => boolean) {
    this.#server = server;
    this.#zone = `${zone}.`;
    new Gauge({
      name: 'fairlead_dns_synced',
      help: 'Whether the zone holds the first lists of the API server.',
      registers: [this.registry],
      collect() {
        this.set(isSynced() ? 1 : 0);
      },
    });
  }

  served({ protocol, family, type, rcode, seconds, bytes, isOwn }: Served): void {
    const server = this.#server;
    const zone = isOwn ? this.#zone : '.';
    const counted = COUNTED.has(type) ? type : 'other';
    this.#requests.inc({ server, zone, proto: protocol, family: family === 4 ? '1' : '2', type: counted });
    this.#responses.inc({ server, zone, rcode, plugin: isOwn ? 'kubernetes' : 'forward' });
    this.#seconds.observe({ server, zone }, seconds);
    this.#bytes.observe({ server, zone, proto: protocol }, bytes);
  }

  looked(hit: boolean): void {
    (hit ? this.#hits : this.#misses).inc({ server: this.#server });
  }
}
