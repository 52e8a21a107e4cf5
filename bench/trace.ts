/**
 * Walks a second on one core: every client of a World of three nodes dials every address of its Services, there and back.
 * The peer is the bound, 20,000 walks/s. `n` is the number of walks; each random choice of a balancer is a walk of its own.
 */
import { walk } from '../src/trace/trace.ts';
import { addressesOf, CLIENTS, clusterOf } from '../test/trace/cluster.ts';
import { processorMs, report } from './report.ts';

const BOUND = 20_000;
const MILLISECONDS = 2000;

export async function run(): Promise<void> {
  for (const network of ['tunnel', 'vpc'] as const) {
    for (const proxyMode of ['nftables', 'iptables'] as const) measure(network, proxyMode);
  }
}

function measure(network: string, proxyMode: string): void {
  const cluster = clusterOf({ network, proxyMode });
  const requests = CLIENTS.flatMap((from) =>
    addressesOf(cluster).map(({ address, port }) => ({ from, to: address, port, protocol: 'TCP' as const })),
  );
  const round = () => requests.reduce((sum, request) => sum + walk(cluster.world, request).length, 0);
  round();
  const began = processorMs();
  const spent = () => processorMs() - began;
  let walks = 0;
  while (spent() < MILLISECONDS) walks += round();
  const perSecond = (walks / spent()) * 1000;
  report({
    name: `walks, ${network}, ${proxyMode}`,
    ours: perSecond,
    peer: BOUND,
    unit: 'walks/s',
    n: walks,
    smallerIsBetter: false,
  });
}
