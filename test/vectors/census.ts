/** The vectors counted, for docs/vectors.md: who dials what in which mode, and where a mode differs by design. */
import { PEERS } from './bed.ts';
import { TARGETS } from './objects.ts';
import { MODES } from './rules.ts';
import type { Source, Vector } from './vectors.ts';

/** As the data's sources are met in a cluster. */
const CLIENTS = ['pod here', 'pod elsewhere', 'node', 'localhost', 'another node', 'outside'] as const;

function clientOf(from: Source): (typeof CLIENTS)[number] {
  if (from === 'node' || from === 'localhost') return from;
  const { role, towards } = PEERS[from];
  if (role === 'pod') return towards === 'cali-' ? 'pod here' : 'pod elsewhere';
  return role === 'node' ? 'another node' : 'outside';
}

/** Markdown; the same data gives the same text. */
export function censusOf(vectors: readonly Vector[]): string {
  const cases = new Set(vectors.map((vector) => vector.case));
  const totals = `${vectors.length} vectors of ${cases.size} cases; each is one connection, and holds for all three modes.`;
  return [
    totals,
    byTrait(vectors),
    ...MODES.flatMap((mode) => [`### ${mode}`, byPlace(vectors, mode)]),
    '### Why a mode differs',
    byReason(vectors),
  ].join('\n\n');
}

function byTrait(vectors: readonly Vector[]): string {
  const traits: Readonly<Record<string, (vector: Vector) => string>> = {
    protocol: ({ protocol }) => protocol,
    family: ({ target }) => `IPv${target.family}`,
    configuration: ({ configuration }) => configuration,
  };
  const rows = Object.entries(traits).flatMap(([trait, of]) =>
    Array.from(Map.groupBy(vectors, of), ([value, some]) => [trait, value, some.length]),
  );
  return table(['', '', 'vectors'], rows);
}

/** A cell is how many, and how many of them differ from what the other modes do. */
function byPlace(vectors: readonly Vector[], mode: (typeof MODES)[number]): string {
  const rows = TARGETS.map((target) => {
    const cells = CLIENTS.map((client) => {
      const some = vectors.filter((one) => one.target.name === target && clientOf(one.from) === client);
      const differing = some.filter(({ flow }) => flow.except?.[mode] !== undefined).length;
      if (some.length === 0) return '';
      return differing === 0 ? some.length : `${some.length}, ${differing} differ`;
    });
    return [target, ...cells];
  });
  return table(['to', ...CLIENTS.map((client) => `from ${client}`)], rows);
}

function byReason(vectors: readonly Vector[]): string {
  const rows = MODES.flatMap((mode) => {
    const reasons = vectors.flatMap(({ flow }) => flow.except?.[mode]?.because ?? []);
    return Array.from(
      Map.groupBy(reasons, (reason) => reason),
      ([reason, some]) => [mode, reason, some.length] as const,
    ).sort((a, b) => b[2] - a[2]);
  });
  return table(['mode', 'because', 'vectors'], rows);
}

type Cell = string | number;

function table(head: readonly string[], rows: readonly (readonly Cell[])[]): string {
  const all = [head, ...rows].map((row) => row.map(String));
  const widths = head.map((_, at) => Math.max(3, ...all.map((row) => row[at]?.length ?? 0)));
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell, at) => cell.padEnd(widths[at] ?? 0)).join(' | ')} |`;
  const [first = [], ...rest] = all;
  return [line(first), line(widths.map((width) => '-'.repeat(width))), ...rest.map(line)].join('\n');
}
