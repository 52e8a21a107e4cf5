import { answer } from '../diagnose/answer.ts';
import { ladder } from '../diagnose/ladder.ts';
import type { Matrix, MatrixCell, ObservedCell } from '../diagnose/matrix/matrix.ts';
import { withStandIns } from '../diagnose/matrix/stand-ins.ts';
import { Fault } from '../fault/fault.ts';
import { Endpoint } from '../ip/ip.ts';
import type { Inside } from '../lab/cage.ts';
import { findLab, keepLab } from '../lab/kept-lab.ts';
import {
  type Comparison,
  evidenceText,
  gatherEvidence,
  type Lab,
  type Mismatch,
  openLab,
  prove,
  type Question,
} from '../lab/prove/prove.ts';
import type { Cluster } from '../world/from-objects/from-objects.ts';
import { KUBE_PROXY } from '../world/profile.ts';
import { paletteOf } from './colours.ts';
import type { InputOptions } from './input-options.ts';

/** How answers are proven: the options that `why` and `matrix` share. */
export interface ProofOptions {
  readonly prove?: boolean;
  readonly keep?: boolean;
  readonly kernel?: 'host' | 'vm' | 'auto';
  /** The number of a lab that another command keeps: it is asked instead of one that is built. */
  readonly in?: number;
  readonly output: string;
}

/** Each takes seconds, for it is asked once more and watched; and what differs often differs for one reason. */
const MOST_TOLD = 5;

const say = (line: string): void => {
  process.stderr.write(`${line}\n`);
};

/**
 * Builds the World or finds it standing, asks it, tells of what differs (on standard error where the output is for a
 * program), and shows what was found; with `--keep` the lab then stays up until this process is told to end.
 */
export async function withProof<T>(
  cluster: Cluster,
  options: ProofOptions & InputOptions,
  questions: readonly Question[],
  show: (comparison: Comparison) => T,
): Promise<T> {
  const wrong = cluster.problems.find(({ isContradiction }) => isContradiction === true);
  if (wrong !== undefined) {
    throw new Fault(
      'FE011',
      `${wrong.place}: ${wrong.message}`,
      'correct it: what is proven has to be whole',
    );
  }
  const { serviceProxy } = cluster.profile;
  if (serviceProxy !== KUBE_PROXY) {
    const what = `${serviceProxy} forwards Services here, which cannot be built`;
    throw new Fault('FE006', what, 'leave --prove out, or try it with --set serviceProxy=kube-proxy');
  }
  if (options.in !== undefined) {
    const lab = await findLab(options.in);
    for (const { name } of cluster.world.hosts.values()) lab.netnsOf(name);
    return await closing(lab, () => asked(cluster, options, questions, lab.cage, show));
  }
  const lab = await openLab(cluster.world, { kernel: options.kernel ?? 'auto', progress: say });
  return await closing(lab, async () => {
    const shown = await asked(cluster, options, questions, lab.cage, show);
    if (options.keep === true) await kept(cluster, lab);
    return shown;
  });
}

async function closing<T>(lab: { close(): Promise<void> }, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } finally {
    await lab.close();
  }
}

async function asked<T>(
  cluster: Cluster,
  options: ProofOptions & InputOptions,
  questions: readonly Question[],
  cage: Inside,
  show: (comparison: Comparison) => T,
): Promise<T> {
  const comparison = await prove(cluster.world, cage, questions);
  const { agreements, mismatches, unknowns } = comparison;
  for (const mismatch of mismatches.slice(0, MOST_TOLD)) await tell(cluster, cage, mismatch, options);
  const untold = mismatches.length - MOST_TOLD;
  if (untold > 0) say(`${untold} more differ; ask for one of them by why --prove to see its packets`);
  const shown = show(comparison);
  say(`proven: ${agreements.length} agree, ${mismatches.length} differ, ${unknowns.length} unknown`);
  return shown;
}

/** The World that the cells of matrices were walked in. */
export const provenCluster = (cluster: Cluster): Cluster => withStandIns(cluster);

/** Nobody here speaks SCTP, so such a cell is none of them. */
export function questionOf(cluster: Cluster, service: string, cell: MatrixCell): Question | undefined {
  const { protocol, from, address } = cell;
  if (protocol === 'SCTP') return undefined;
  const { addr, port } = Endpoint.parse(address);
  const isSticky = cluster.services.get(service)?.spec?.sessionAffinity === 'ClientIP';
  return { from, to: addr, port, protocol, isSticky };
}

/** The matrices with what was seen beside what was foretold, what differs first. */
export function withObserved(
  all: readonly Matrix[],
  questions: ReadonlyMap<MatrixCell, Question>,
  { agreements, mismatches, unknowns }: Comparison,
): Matrix[] {
  const found = new Map([...agreements, ...unknowns, ...mismatches].map((one) => [one.question, one]));
  const wrong = new Set(mismatches.map(({ question }) => question));
  return all.map((matrix) => {
    const cells = matrix.cells.map((cell) => {
      const question = questions.get(cell);
      const observation = question === undefined ? undefined : found.get(question);
      if (question === undefined || observation === undefined) return cell;
      return { ...cell, observed: observedOf(observation.answers, !wrong.has(question)) };
    });
    const differs = ({ observed }: MatrixCell) => Number(observed?.agrees === false);
    return { ...matrix, cells: cells.sort((a, b) => differs(b) - differs(a)) };
  });
}

export function observedOf(answers: Mismatch['answers'], agrees: boolean): ObservedCell {
  const [verdict = 'unknown', ...more] = new Set(answers.map((one) => one.verdict));
  const sources = answers.flatMap((one) => (one.verdict === 'reached' ? [one.sourceSeen.text] : []));
  return { verdict: more.length === 0 ? verdict : 'mixed', sourceSeen: [...new Set(sources)], agrees };
}

/** Both ladders, what the hosts on the way kept, and how to see it again. */
async function tell(
  cluster: Cluster,
  cage: Inside,
  mismatch: Mismatch,
  options: ProofOptions & InputOptions,
): Promise<void> {
  const { question } = mismatch;
  const { from, to, port, protocol } = question;
  const target = new Endpoint(to, port);
  const asked = {
    client: { name: from, host: from, isInside: true },
    target: { name: target.text, addresses: [to], port, protocol },
  };
  const isForPeople = options.output === 'text' || options.output === 'table';
  const stream = isForPeople ? process.stdout : process.stderr;
  const palette = paletteOf(stream);
  const evidence = await gatherEvidence(cluster.world, cage, mismatch);
  const way = protocol === 'TCP' ? target.text : `${target}/${protocol.toLowerCase()}`;
  // A pod that stands in for a class of clients is there in matrices alone.
  const command = cluster.pods.has(from) || !from.includes('/') ? ['why', `host/${from}`, way] : ['matrix'];
  const lab = options.in === undefined ? [] : ['--in', String(options.in)];
  const again = ['fairlead', ...command, '--prove', ...lab, ...inputWords(options)].join(' ');
  const parts = [
    palette.bad('the kernel differs from what was foretold'),
    ladder(cluster, answer(cluster, asked), palette),
    evidenceText(evidence),
    `again: ${again}`,
    '',
  ];
  stream.write(`${parts.join('\n')}\n`);
}

/** The options as they were given. */
function inputWords({
  filename = [],
  nodes,
  profile,
  set = {},
  namespace,
  kubeconfig,
  context,
}: InputOptions): string[] {
  const word = (name: string, value: string | undefined) => (value === undefined ? [] : [name, value]);
  return [
    ...filename.flatMap((path) => ['-f', path]),
    ...word('--nodes', nodes),
    ...word('--profile', profile),
    ...Object.entries(set).flatMap(([key, value]) => ['--set', `${key}=${value}`]),
    ...word('-n', namespace),
    ...word('--kubeconfig', kubeconfig),
    ...word('--context', context),
  ];
}

/** Says how to enter the lab, and waits for a signal. */
async function kept({ world }: Cluster, lab: Lab): Promise<void> {
  const { number, close } = await keepLab(world, lab);
  const where = lab.kernel === 'vm' ? 'the lab, in a guest,' : 'the lab';
  say(`${where} stays up until ctrl-C; enter a host, run a command there, or ask further with`);
  say(`  fairlead enter --lab ${number} HOST [COMMAND…]`);
  say(`  fairlead why FROM TO --prove --in ${number}, with the same inputs`);
  say(`hosts: ${[...world.hosts.keys()].join(', ')}`);
  await new Promise<void>((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => resolve());
  });
  await close();
}
