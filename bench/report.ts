/** One figure of a benchmark, as it is printed. */
export interface Figure {
  readonly name: string;
  readonly ours: number;
  readonly peer: number;
  readonly unit: string;
  /** How many measurements stand behind it. */
  readonly n: number;
  /** Whether a smaller figure is the better one; true unless said. */
  readonly smallerIsBetter?: boolean;
  /** What the figure is made of. */
  readonly detail?: object;
}

/** Prints a figure as one line of JSON. */
export function report({ name, ours, peer, unit, n, smallerIsBetter = true, detail }: Figure): void {
  const ratio = smallerIsBetter ? peer / ours : ours / peer;
  process.stdout.write(
    `${JSON.stringify({ name, ours: round(ours), peer: round(peer), ratio: round(ratio), unit, n, ...(detail && { detail }) })}\n`,
  );
}

/** The value below which `share` of the sorted values lie. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.ceil(share * sorted.length) - 1)] ?? Number.NaN;
}

const round = (value: number): number => Number(value.toPrecision(4));

/** Milliseconds of processor time that this process has used: what else the machine does is not counted. */
export function processorMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}
