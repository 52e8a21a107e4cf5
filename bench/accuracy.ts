/**
 * How often the walk is right: random Worlds are built on the kernel and every client dials every address for real.
 * `npm run -s bench -- accuracy [--worlds N] [--from K] [--within SECONDS] [--seed S] [--mode M]…`: N Worlds of the seed from
 * the Kth on, none begun later than that; the mode ipvs is tried in a guest. The peer is the bound: all answers agree, fewer
 * than 1 % are unknown. `n` is the number of cases: a client, an address, a protocol. Exit code 1 if anything differs.
 */
import { parseArgs } from 'node:util';
import { CAUSE_CODES } from '../src/diagnose/causes/registry.ts';
import { openVm } from '../src/lab/vm/vm.ts';
import type { Mode } from '../test/prove/arbitrary.ts';
import { type HuntOptions, hunt, shrink } from '../test/prove/hunt.ts';
import { report } from './report.ts';

const MODES: readonly Mode[] = ['nftables', 'iptables', 'ipvs'];
/** A guest's processor is translated, so it is asked less of each World. */
const QUESTIONS_TO_A_GUEST = 100;

export async function run(args: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      worlds: { type: 'string', default: '100' },
      from: { type: 'string', default: '0' },
      within: { type: 'string', default: 'Infinity' },
      seed: { type: 'string', default: String(Date.now() % 1_000_000) },
      mode: { type: 'string', multiple: true, default: ['nftables', 'iptables'] },
    },
  });
  const modes = MODES.filter((mode) => values.mode.includes(mode));
  const guest = modes.includes('ipvs')
    ? await openVm({ progress: (line) => process.stderr.write(`${line}\n`) })
    : undefined;
  const where = guest && { open: () => guest.openCage(), questions: QUESTIONS_TO_A_GUEST };
  try {
    const { worlds, from, seed, within } = values;
    await measure({
      worlds: Number(worlds),
      from: Number(from),
      seed: Number(seed),
      withinMs: Number(within) * 1000,
      modes,
      ...where,
    });
  } finally {
    await guest?.close();
  }
}

async function measure(options: HuntOptions): Promise<void> {
  const began = performance.now();
  const { worlds, cases, probes, agreed, unknown, found, coverage } = await hunt(options);
  const seconds = (performance.now() - began) / 1000;
  const share = (count: number) => (100 * count) / cases;
  const how = `${worlds} worlds, seed ${options.seed}${options.from ? ` from ${options.from}` : ''}`;
  report({
    name: `agreed, ${how}`,
    ours: share(agreed),
    peer: 100,
    unit: '%',
    n: cases,
    smallerIsBetter: false,
  });
  report({ name: `unknown, ${how}`, ours: share(unknown), peer: 1, unit: '%', n: cases });
  process.stderr.write(
    `cases ${cases}, connections ${probes}, agreed ${agreed}, unknown ${unknown}, differing worlds ${found.length}, seed ${options.seed}, ${seconds.toFixed(0)} s\n`,
  );
  const { verdicts, reasons, causes, traits } = coverage;
  process.stderr.write(`foretold: ${verdicts}\nfor: ${reasons}\ncauses: ${causes}\nWorlds with: ${traits}\n`);
  report({
    name: `causes met, ${how}`,
    ours: causes.size,
    peer: CAUSE_CODES.length,
    unit: 'causes',
    n: cases,
    smallerIsBetter: false,
    detail: { verdicts, reasons, causes },
  });
  for (const { at, scenario, differences } of found) {
    process.stderr.write(
      `\nWorld ${at}: ${JSON.stringify(scenario)}\n${differences.slice(0, 5).join('\n')}\n`,
    );
  }
  const [first] = found;
  if (first === undefined) return;
  process.stderr.write(
    `\nWorld ${first.at} shrunk: ${JSON.stringify(await shrink(options, first, 60_000))}\n`,
  );
  process.exitCode = 1;
}
