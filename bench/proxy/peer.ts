/** The layout kube-proxy's nftables mode writes: a chain and an anonymous map for each Service, a chain for each endpoint. */
import type { Exec } from '../../src/exec/exec.ts';
import { percentile } from '../report.ts';
import type { Took } from './loading.ts';
import { clusterIP, ENDPOINTS, pod } from './services.ts';

/** Only nft's own time is taken: what it would cost to compute this text is left to the peer's favour. */
export async function measurePeer(exec: Exec, services: number, changes: number): Promise<Took> {
  const nft = async (stdin: string): Promise<number> => {
    const start = performance.now();
    await exec.run({ file: 'nft', args: ['-f', '-'], stdin, timeoutMs: 600_000 });
    return performance.now() - start;
  };
  const load = await nft(table(services));
  const took: number[] = [];
  for (let at = 0; at < changes; at++) took.push(await nft(change(at)));
  return { load, change: percentile(took, 0.5) };
}

function table(services: number): string {
  const lines = [
    'add table ip peer',
    'add map ip peer service-ips { type ipv4_addr . inet_proto . inet_service : verdict; }',
    'add set ip peer cluster-ips { type ipv4_addr; }',
    'add chain ip peer nat-prerouting { type nat hook prerouting priority -100; }',
    'add chain ip peer mark-for-masquerade',
    'add rule ip peer mark-for-masquerade mark set mark | 0x4000',
    'add rule ip peer nat-prerouting ip daddr . meta l4proto . th dport vmap @service-ips',
  ];
  for (let at = 0; at < services; at++) {
    lines.push(`add chain ip peer service-${at}`);
    for (let which = 0; which < ENDPOINTS; which++) lines.push(...endpoint(at, which));
    lines.push(
      masqueraded(at),
      balance(at),
      `add element ip peer cluster-ips { ${clusterIP(at)} }`,
      `add element ip peer service-ips { ${clusterIP(at)} . tcp . 80 : goto service-${at} }`,
    );
  }
  return `${lines.join('\n')}\n`;
}

const masqueraded = (at: number): string =>
  `add rule ip peer service-${at} ip daddr ${clusterIP(at)} tcp dport 80 ip saddr != 172.16.0.0/24 jump mark-for-masquerade`;

function endpoint(at: number, which: number, moved = 0): string[] {
  const address = pod(at, which, moved);
  const chain = `ip peer endpoint-${at}-${address}`;
  return [
    `add chain ${chain}`,
    `add rule ${chain} ip saddr ${address} jump mark-for-masquerade`,
    `add rule ${chain} meta l4proto tcp dnat to ${address}:8080`,
  ];
}

function balance(at: number, moved = 0): string {
  const goes = Array.from(
    { length: ENDPOINTS },
    (_, which) => `${which} : goto endpoint-${at}-${pod(at, which, moved)}`,
  );
  return `add rule ip peer service-${at} numgen random mod ${ENDPOINTS} vmap { ${goes.join(', ')} }`;
}

function change(at: number): string {
  const last = ENDPOINTS - 1;
  return [
    ...endpoint(at, last, 1),
    `flush chain ip peer service-${at}`,
    masqueraded(at),
    balance(at, 1),
    `flush chain ip peer endpoint-${at}-${pod(at, last)}`,
    `delete chain ip peer endpoint-${at}-${pod(at, last)}`,
    '',
  ].join('\n');
}
