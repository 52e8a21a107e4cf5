/**
 * Two figures. Walks a second on one core: every client of a World of three nodes dials every address of its Services, there
 * and back; the peer is the bound, 20,000 walks/s, and `n` the number of walks, of which each random choice of a balancer is
 * one. And the matrices of a cluster of 200 nodes and 500 Services, with the World built: the peer walks each cell by itself,
 * which is measured for a sample of Services, whose cells have to be equal, and reckoned up; `n` is the number of cells.
 * All in the processor's time, so that whatever else the machine does is not counted.
 */
import { isDeepStrictEqual } from 'node:util';
import { causeOf } from '../src/diagnose/cause-of.ts';
import { matrices } from '../src/diagnose/matrix/matrix.ts';
import { walk } from '../src/trace/trace.ts';
import { addressesOf, CLIENTS, clusterOf } from '../test/trace/cluster.ts';
import { largeCluster } from './large-cluster.ts';
import { processorMs, report } from './report.ts';

const BOUND = 20_000;
const MILLISECONDS = 2000;

export async function run(): Promise<void> {
  for (const network of ['tunnel', 'vpc'] as const) {
    for (const proxyMode of ['nftables', 'iptables'] as const) measure(network, proxyMode);
  }
  for (const proxyMode of ['nftables', 'iptables', 'ipvs'] as const) measureMatrices(proxyMode);
}

/** Every so manieth Service is walked cell by cell. */
const SAMPLE = 10;

function measureMatrices(proxyMode: 'nftables' | 'iptables' | 'ipvs'): void {
  const began = processorMs();
  const cluster = largeCluster({ nodes: 200, services: 500, proxyMode });
  const built = processorMs() - began;
  let told = '';
  const found = matrices(cluster, undefined, causeOf, {
    onDone: ({ walked, readOff }) => {
      told = `${walked} cells walked, ${readOff} read off`;
    },
  });
  const ours = processorMs() - began;
  const sample = found.filter((_, at) => at % SAMPLE === 0);
  const beganAlone = processorMs();
  const keys = sample.map(({ service }) => service);
  const alone = matrices(cluster, keys, causeOf, { cellByCell: true });
  const each = (processorMs() - beganAlone) / sample.length;
  if (!isDeepStrictEqual(sample, alone)) throw new Error('cells read off differ from cells walked');
  report({
    name: `matrices of 200 nodes x 500 services from objects on, ${proxyMode}; ${told}`,
    ours: ours / 1000,
    peer: (built + each * found.length) / 1000,
    unit: 's',
    n: found.reduce((sum, { cells }) => sum + cells.length, 0),
  });
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
