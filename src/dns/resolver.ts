import type { Answer } from 'dns-packet';
import { answer, type Question, type Reply } from './answer.ts';
import type { Zone } from './zone.ts';

/** Asks servers outside the cluster. */
export type AskElsewhere = (question: Question) => Promise<Reply>;

/** Numbers from 0 to 1, the end excluded. */
export type Random = () => number;

/**
 * The zone's answer, with what only others know added to it when there is someone to ask. Addresses come in a new order
 * each time, so that clients which take the first spread over all.
 */
export function resolve(
  zone: Zone,
  question: Question,
  random: Random,
  ask?: AskElsewhere,
): Reply | Promise<Reply> {
  const own = answer(zone, question);
  if (own.elsewhere === undefined || ask === undefined) return shuffled(own, random);
  return continued(own, { name: own.elsewhere, type: question.type }, ask);
}

async function continued(own: Reply, question: Question, ask: AskElsewhere): Promise<Reply> {
  const rest = await ask(question);
  return { ...rest, authoritative: own.answers.length > 0, answers: [...own.answers, ...rest.answers] };
}

function shuffled(reply: Reply, random: Random): Reply {
  if (reply.answers.length < 2) return reply;
  const isAddress = (record: Answer) => record.type === 'A' || record.type === 'AAAA';
  // CNAMEs stay in front, in their order: some resolvers read an answer once, from top to bottom.
  const chain = reply.answers.filter((record) => !isAddress(record));
  const addresses = reply.answers.filter(isAddress);
  for (let at = addresses.length - 1; at > 0; at--) {
    const other = Math.floor(random() * (at + 1));
    const [here, there] = [addresses[at], addresses[other]];
    if (here !== undefined && there !== undefined) [addresses[at], addresses[other]] = [there, here];
  }
  return { ...reply, answers: [...chain, ...addresses] };
}
