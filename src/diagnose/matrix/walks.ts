import { Addr, Endpoint, portOf } from '../../ip/ip.ts';
import type { Cluster } from '../../world/from-objects/from-objects.ts';
import {
  type AnsweredOutcome,
  type AnswerVerdict,
  type CauseFinder,
  type CauseNote,
  connect,
  verdictOf,
} from '../answer.ts';
import type { MembersAlike } from './members-alike.ts';
import type { Names } from './names.ts';
import type { Shape } from './shape.ts';
import type { Client, Target } from './stage.ts';

/** What becomes of the connections of a cell; addresses in their order. */
export interface CellAnswer {
  readonly verdict: AnswerVerdict;
  readonly sourceSeen: readonly string[];
  readonly endpoints: readonly string[];
  /** The likeliest where there are several. */
  readonly cause?: Pick<CauseNote, 'code' | 'title'>;
}

/**
 * What walks from a client to a target come to. Which is told first is a matter of addresses, not of chance.
 *
 * @param alike members of a balancer of which one is walked, and whose addresses are told all the same
 */
function walked(
  cluster: Cluster,
  client: Client,
  target: Target,
  causeOf: CauseFinder,
  alike?: MembersAlike,
): CellAnswer {
  const { addr: to, port, protocol } = target;
  const outcomes = connect(cluster, { from: client.host, to, port, protocol }, causeOf, alike?.weigh);
  const andTwins = (addr: Addr) => [addr, ...(alike?.twins.get(addr.text) ?? [])];
  const cause = likeliestCause(outcomes);
  return {
    verdict: verdictOf(outcomes),
    sourceSeen: sortedAddresses(
      outcomes.flatMap(({ outcome }) => outcome.sourceSeen ?? []).flatMap(andTwins),
    ),
    endpoints: sortedEndpoints(
      outcomes.flatMap(({ endpoint }) =>
        endpoint === undefined
          ? []
          : andTwins(Addr.parse(endpoint.ip)).map((addr) => new Endpoint(addr, portOf(endpoint.port))),
      ),
    ),
    ...(cause === undefined ? {} : { cause }),
  };
}

function sortedAddresses(addresses: readonly Addr[]): string[] {
  const distinct = new Map(addresses.map((addr) => [addr.text, addr]));
  return [...distinct.values()].sort((a, b) => a.compare(b)).map(({ text }) => text);
}

function sortedEndpoints(endpoints: readonly Endpoint[]): string[] {
  const distinct = new Map(endpoints.map((one) => [one.text, one]));
  return [...distinct.values()]
    .sort((a, b) => a.addr.compare(b.addr) || a.port - b.port)
    .map(({ text }) => text);
}

/** Of what fails, or of everything where nothing does; of two that are as likely the one with the lower code. */
function likeliestCause(outcomes: readonly AnsweredOutcome[]): CellAnswer['cause'] {
  const failing = outcomes.filter(({ outcome }) => outcome.verdict !== 'reached');
  const causes = new Map<string, { readonly cause: CauseNote; share: number }>();
  for (const { cause, probability } of failing.length > 0 ? failing : outcomes) {
    if (cause === undefined) continue;
    const known = causes.get(cause.code) ?? { cause, share: 0 };
    causes.set(cause.code, { ...known, share: known.share + probability });
  }
  // Sums of the same shares in another order differ in their last digits.
  const share = (one: { share: number }) => Math.round(one.share * 1e6);
  const [first] = [...causes.values()].sort(
    (a, b) => share(b) - share(a) || (a.cause.code < b.cause.code ? -1 : 1),
  );
  return first && { code: first.cause.code, title: first.cause.title };
}

/** An answer with names for addresses and ports. */
interface NamedAnswer extends Pick<CellAnswer, 'verdict' | 'cause'> {
  readonly sources: readonly string[];
  readonly endpoints: readonly (readonly [string, string])[];
}

/** Answers by the shape of the Service: walked for the first of each, and read off for those like it. */
export class AnswersByShape {
  readonly #cluster: Cluster;
  readonly #causeOf: CauseFinder;
  /** `undefined`: something in it has no name, so it says nothing of others. */
  readonly #known = new Map<string, NamedAnswer | undefined>();
  /** How many cells were walked, and how many read off. */
  readonly counts = { walked: 0, readOff: 0 };

  constructor(cluster: Cluster, causeOf: CauseFinder) {
    this.#cluster = cluster;
    this.#causeOf = causeOf;
  }

  /** @param place which of the Service's ports it is */
  answer(shape: Shape | undefined, client: Client, target: Target, place: number): CellAnswer {
    const key = shape && `${client.kind} ${target.name} ${place} ${shape.key}`;
    const known = key === undefined ? undefined : this.#known.get(key);
    const readOff = known && shape && withTexts(known, shape.names);
    if (readOff !== undefined) {
      this.counts.readOff += 1;
      return readOff;
    }
    const alike = shape?.membersFor(client, target);
    const found = walked(this.#cluster, client, target, this.#causeOf, alike);
    this.counts.walked += 1;
    if (key !== undefined && shape !== undefined) this.#known.set(key, withNames(found, shape.names));
    return found;
  }
}

function withNames(
  { verdict, sourceSeen, endpoints, cause }: CellAnswer,
  names: Names,
): NamedAnswer | undefined {
  const sources = sourceSeen.flatMap((text) => names.nameOf(text) ?? []);
  const ends = endpoints.flatMap((text) => {
    const { addr, port } = Endpoint.parse(text);
    const [address, number] = [names.nameOf(addr.text), names.nameOf(`:${port}`)];
    return address === undefined || number === undefined ? [] : [[address, number] as const];
  });
  // More random choices than are followed: which of them were is a matter of order.
  const isCutOff = cause?.code === 'FL040';
  if (sources.length < sourceSeen.length || ends.length < endpoints.length || isCutOff) return undefined;
  return { verdict, sources, endpoints: ends, ...(cause === undefined ? {} : { cause }) };
}

function withTexts(
  { verdict, sources, endpoints, cause }: NamedAnswer,
  names: Names,
): CellAnswer | undefined {
  const addresses = sources.flatMap((name) => names.textOf(name) ?? []).map((text) => Addr.parse(text));
  const ends = endpoints.flatMap(([address, port]) => {
    const [text, number] = [names.textOf(address), names.textOf(port)];
    return text === undefined || number === undefined
      ? []
      : [new Endpoint(Addr.parse(text), portOf(Number(number.slice(1))))];
  });
  if (addresses.length < sources.length || ends.length < endpoints.length) return undefined;
  return {
    verdict,
    sourceSeen: sortedAddresses(addresses),
    endpoints: sortedEndpoints(ends),
    ...(cause === undefined ? {} : { cause }),
  };
}
