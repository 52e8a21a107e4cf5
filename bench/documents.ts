/**
 * The tables of the vendors' documents on a kernel, IPVS included, which a guest runs: how many of their cells the walk and
 * the kernel agree on. The peer is the bound, all of them.
 */
import { openVm } from '../src/lab/vm/vm.ts';
import { proveDocuments } from '../test/prove/documents.ts';
import { report } from './report.ts';

export async function run(): Promise<void> {
  const tell = (name: string, { cases, worlds, differences }: Awaited<ReturnType<typeof proveDocuments>>) => {
    const share = (100 * (cases - differences.length)) / cases;
    const what = `cells that agree, ${name}, ${worlds} worlds`;
    report({ name: what, ours: share, peer: 100, unit: '%', n: cases, smallerIsBetter: false });
    for (const line of differences) process.stderr.write(`${line}\n`);
  };
  tell('iptables', await proveDocuments(({ profile }) => profile.proxyMode !== 'ipvs'));
  const guest = await openVm({ progress: (line) => process.stderr.write(`${line}\n`) });
  try {
    tell(
      'ipvs',
      await proveDocuments(
        ({ profile }) => profile.proxyMode === 'ipvs',
        () => guest.openCage(),
      ),
    );
  } finally {
    await guest.close();
  }
}
