import type { Addr } from '../ip/ip.ts';
import { type Outcome, type Verdict, type WalkRequest, type Weigh, walk } from '../trace/trace.ts';
import type { Cluster } from '../world/from-objects/from-objects.ts';
import { assumptionsOf } from './assumptions.ts';
import type { Fix } from './fixes/fix.ts';
import type { Question } from './question.ts';
import { REASON_TITLES } from './reason-titles.ts';

/** `mixed`: it depends on the run of random choices. */
export type AnswerVerdict = Verdict | 'mixed';

/** Why a connection fails, as far as it is known. */
export interface CauseNote {
  /** A code of the registry of causes, or the walk's own word for the reason. */
  readonly code: string;
  readonly title: string;
  /** The same with the names of this case. */
  readonly because?: string;
  readonly rule?: string;
  /** `file:line` of a rule that was read. */
  readonly place?: string;
}

/** Finds the cause of an outcome. */
export type CauseFinder = (cluster: Cluster, request: WalkRequest, outcome: Outcome) => CauseNote | undefined;

export interface AnsweredOutcome {
  readonly request: WalkRequest;
  readonly outcome: Outcome;
  /** Of all that may happen: probabilities add up to 1. */
  readonly probability: number;
  readonly endpoint?: AnsweredEndpoint;
  readonly cause?: CauseNote;
}

export interface AnsweredEndpoint {
  readonly ip: string;
  readonly port: number;
  /** `namespace/name`; undefined for a process of a machine that is no pod. */
  readonly pod?: string;
  readonly node?: string;
}

export interface Answer {
  readonly question: Question;
  readonly verdict: AnswerVerdict;
  readonly outcomes: readonly AnsweredOutcome[];
  /** What was taken for granted of processes, a sentence each. */
  readonly assumptions: readonly string[];
}

/** Walks the question; a name with several addresses is walked to each of them. */
export function answer(cluster: Cluster, question: Question, causeOf: CauseFinder = causeByReason): Answer {
  const { addresses } = question.target;
  const outcomes = addresses.flatMap((addr) =>
    connect(cluster, requestOf(question, addr), causeOf).map((one) => ({
      ...one,
      probability: one.probability / addresses.length,
    })),
  );
  const assumptions = assumptionsOf(cluster, outcomes);
  return { question, verdict: verdictOf(outcomes), outcomes, assumptions };
}

const requestOf = ({ client, target }: Question, to: Addr): WalkRequest => ({
  from: client.host,
  to,
  port: target.port,
  protocol: target.protocol,
});

/** What may become of one connection. */
export function connect(
  cluster: Cluster,
  request: WalkRequest,
  causeOf: CauseFinder = causeByReason,
  weigh?: Weigh,
): AnsweredOutcome[] {
  return walk(cluster.world, request, weigh).map((outcome) => {
    const cause = causeOf(cluster, request, outcome);
    const endpoint = endpointOf(cluster, outcome);
    return {
      request,
      outcome,
      probability: outcome.probability,
      ...(endpoint === undefined ? {} : { endpoint }),
      ...(cause === undefined ? {} : { cause }),
    };
  });
}

/** Something unknown makes the whole unknown. */
export function verdictOf(outcomes: readonly Pick<AnsweredOutcome, 'outcome'>[]): AnswerVerdict {
  const verdicts = new Set(outcomes.map(({ outcome }) => outcome.verdict));
  if (verdicts.has('unknown')) return 'unknown';
  const [only, ...more] = verdicts;
  return only === undefined || more.length > 0 ? 'mixed' : only;
}

/** The reason by itself, where nobody knows a cause. */
export const causeByReason: CauseFinder = (_cluster, _request, { verdict, reason, deciding }) => {
  if (verdict === 'reached') return undefined;
  const step = deciding?.step;
  const rule = step?.rule ?? step?.detail;
  return { code: reason, title: REASON_TITLES[reason], ...(rule === undefined ? {} : { rule }) };
};

function endpointOf(cluster: Cluster, { endpoint }: Outcome): AnsweredEndpoint | undefined {
  if (endpoint === undefined) return undefined;
  const at = { ip: endpoint.ip.text, port: endpoint.port };
  const own = cluster.pods.get(endpoint.host);
  if (own !== undefined) return { ...at, pod: endpoint.host, node: own.node };
  const isNode = cluster.nodes.some(({ facts }) => facts.name === endpoint.host);
  if (!isNode) return at;
  const shared = [...cluster.pods].find(
    ([, { pod, host }]) =>
      host === endpoint.host &&
      (pod.spec?.containers ?? []).some(({ ports }) =>
        (ports ?? []).some(({ containerPort }) => containerPort === endpoint.port),
      ),
  );
  return { ...at, node: endpoint.host, ...(shared === undefined ? {} : { pod: shared[0] }) };
}

/** As `fairlead why -o json` prints it. */
export function answerJson({ verdict, outcomes, question, assumptions }: Answer, fixes: readonly Fix[] = []) {
  const { client, target } = question;
  return {
    from: client.name,
    to: { name: target.name, addresses: target.addresses, port: target.port, protocol: target.protocol },
    verdict,
    ...(assumptions.length === 0 ? {} : { assumptions }),
    outcomes: outcomes.map(({ outcome, probability, endpoint, cause }) => ({
      probability,
      verdict: outcome.verdict,
      endpoint,
      sourceSeen: outcome.sourceSeen,
      cause,
      hops: outcome.hops,
    })),
    fixes,
  };
}
