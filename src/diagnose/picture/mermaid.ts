import type { Hop } from '../../trace/trace.ts';
import type { Answer } from '../answer.ts';

/** The most probable way as a Mermaid sequence diagram: a column a host, an arrow a link, a note a change. */
export function mermaid({ outcomes }: Answer): string {
  const [first] = [...outcomes].sort((a, b) => b.probability - a.probability);
  const hops = first?.outcome.hops ?? [];
  const names = [...new Set(hops.map(({ host }) => host))];
  const id = (host: string) => `h${names.indexOf(host)}`;
  const lines = names.map((name) => `  participant ${id(name)} as ${name}`);
  for (const [at, hop] of hops.entries()) {
    const before = hops[at - 1];
    if (before !== undefined && before.host !== hop.host) {
      const arrow = hop.direction === 'forward' ? '->>' : '-->>';
      lines.push(`  ${id(before.host)}${arrow}${id(hop.host)}: ${literal(headerOf(hop))}`);
    }
    lines.push(...notes(hop).map((note) => `  Note over ${id(hop.host)}: ${literal(note)}`));
  }
  const decided = first?.outcome.deciding;
  if (first !== undefined && first.outcome.verdict !== 'reached' && decided !== undefined) {
    const { detail, rule } = decided.step;
    lines.push(`  Note over ${id(decided.host)}: ${literal(`${first.outcome.verdict}: ${rule ?? detail}`)}`);
  }
  return ['sequenceDiagram', ...lines, ''].join('\n');
}

/** The header the packet came with: `10.0.2.11:40000 -> 10.247.0.10:80`. */
const headerOf = (hop: Hop): string =>
  /\S+ -> \S+/.exec(hop.steps.find(({ kind }) => kind === 'receive' || kind === 'send')?.detail ?? '')?.[0] ??
  '';

const notes = (hop: Hop): string[] =>
  hop.steps.flatMap(({ changes }) =>
    changes
      .filter(({ field }) => field === 'source' || field === 'destination')
      .map(({ field, from, to }) => `${field} ${from} -> ${to}`),
  );

/** Semicolons end a statement of Mermaid and hashes begin an entity. */
const literal = (text: string): string => text.replace(/[#;]/g, (found) => (found === '#' ? '#35;' : '#59;'));
