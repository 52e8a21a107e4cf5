import type { Change, Hop, Outcome, Step, StepKind, Verdict } from '../../trace/trace.ts';

/** A packet goes from one host to another. */
export interface Arrow {
  readonly kind: 'arrow';
  readonly from: string;
  readonly to: string;
  readonly isBack: boolean;
  /** The ends in the header it comes with. */
  readonly source: string;
  readonly destination: string;
}

/** What a host does to it. */
export interface Note {
  readonly kind: 'note';
  readonly host: string;
  /** In words, where no field of the header changes. */
  readonly text?: string;
  readonly changes: readonly Change[];
  readonly rule?: string;
  /** It is where the connection ends, or where its client is told. */
  readonly verdict?: Verdict;
}

/** Worth telling even where nothing changes. */
const TELLING: ReadonlySet<StepKind> = new Set([
  'switch',
  'encapsulate',
  'decapsulate',
  'ipvs',
  'drop',
  'unknown',
]);

/** The way of a connection as what is drawn of it: of headers only what changes, and the step that decides. */
export function wayOf(outcome: Outcome): (Arrow | Note)[] {
  const { hops, deciding, verdict } = outcome;
  const rows: (Arrow | Note)[] = [];
  for (const [at, hop] of hops.entries()) {
    const before = hops[at - 1];
    const header = headerOf(hop);
    if (before !== undefined && before.host !== hop.host && header !== undefined) {
      const isBack = hop.direction === 'reply';
      rows.push({ kind: 'arrow', from: before.host, to: hop.host, isBack, ...header });
    }
    const last = hop.steps.findLast(({ kind }) => kind !== 'route');
    for (const step of hop.steps) {
      const ends = verdict !== 'reached' && step === deciding?.step;
      const note = noteOf(hop, step, ends || (step === last && step.kind === 'deliver'));
      if (note !== undefined) rows.push(ends ? { ...note, verdict } : note);
    }
  }
  const client = hops[0]?.host;
  if (verdict === 'reached' && client !== undefined) {
    rows.push({ kind: 'note', host: client, text: 'has its answer', changes: [], verdict });
  }
  return rows;
}

/** What came in, or was made: `10.0.2.11:40000 -> 10.247.0.10:80`. */
function headerOf({ steps }: Hop): Pick<Arrow, 'source' | 'destination'> | undefined {
  const { detail = '' } = steps.find(({ kind }) => kind === 'receive' || kind === 'send') ?? {};
  const [, source, destination] = /(\S+) -> (\S+)/.exec(detail) ?? [];
  return source === undefined || destination === undefined ? undefined : { source, destination };
}

function noteOf({ host }: Hop, { kind, detail, rule, changes }: Step, isTold: boolean): Note | undefined {
  const shown = changes.filter(({ field }) => field === 'source' || field === 'destination');
  const isWorth = isTold || TELLING.has(kind);
  if (shown.length === 0 && !isWorth) return undefined;
  return {
    kind: 'note',
    host,
    changes: shown,
    ...(isWorth ? { text: `${kind}: ${detail.replace(' -> ', ' → ')}` } : {}),
    ...(rule === undefined ? {} : { rule }),
  };
}
