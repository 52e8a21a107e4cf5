/**
 * DNS answers a second on one core, from the bytes of a question to the bytes of its answer. The peer is the bound,
 * 20,000 answers/s. `n` is the number of answers.
 */
import { encode } from 'dns-packet';
import { resolve } from '../src/dns/resolver.ts';
import { encodeReply, takeQuery } from '../src/dns/wire.ts';
import { Zone } from '../src/dns/zone.ts';
import { processorMs, report } from './report.ts';

const BOUND = 20_000;
const ANSWERS = 100_000;

export async function run(): Promise<void> {
  const zone = zoneOf(1_000);
  const questions = Array.from({ length: 1_000 }, (_, at) =>
    encode({
      type: 'query',
      id: at,
      questions: [{ type: 'A', name: `web-${at}.default.svc.cluster.local` }],
    }),
  );
  const since = processorMs();
  for (let at = 0; at < ANSWERS; at++) answer(zone, questions[at % questions.length] ?? Buffer.alloc(0));
  const perSecond = (ANSWERS / (processorMs() - since)) * 1000;
  const name = 'answers to A questions about 1,000 Services; peer: the bound';
  report({ name, ours: perSecond, peer: BOUND, unit: 'answers/s', n: ANSWERS, smallerIsBetter: false });
}

function zoneOf(services: number): Zone {
  const zone = new Zone('cluster.local.');
  zone.setNamespace('default');
  zone.isSynced = true;
  for (let at = 0; at < services; at++) {
    const clusterIP = `10.247.${at >> 8}.${at & 255}`;
    zone.setService({
      metadata: { name: `web-${at}`, namespace: 'default' },
      spec: { clusterIP, clusterIPs: [clusterIP], ports: [{ port: 80 }] },
    });
  }
  return zone;
}

function answer(zone: Zone, message: Buffer): void {
  const taken = takeQuery(message);
  if (taken === undefined || 'refusal' in taken) throw new Error('the question is well formed');
  const reply = resolve(zone, taken.query.question, Math.random);
  if (reply instanceof Promise || reply.answers.length !== 1) throw new Error('the Service has an address');
  encodeReply(taken.query, reply, taken.query.udpBytes, false);
}
