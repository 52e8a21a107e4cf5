import { writeFileSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import {
  createApiServer,
  DEFAULT_SERVING_NAMES,
  kubeconfigFor,
  openPki,
} from '../../apiserver/api-server.ts';
import { aborted } from '../../client/clock.ts';
import { DataFolder } from '../../cluster/data-folder.ts';
import { Fault } from '../../fault/fault.ts';
import { type Addr, Endpoint, Prefix } from '../../ip/ip.ts';
import { openSqliteStore } from '../../store/sqlite-store.ts';
import { daemonContext } from '../daemon.ts';

export interface ApiServerOptions {
  readonly data: string;
  readonly listen: string;
  readonly serviceCidr: string;
  readonly advertiseAddress?: string;
}

/** The API server alone, on loopback unless said otherwise; its kubeconfig is in the data folder. */
export async function apiserver(options: ApiServerOptions): Promise<void> {
  const { log, signal, ready } = daemonContext('apiserver');
  const { addr, port } = Endpoint.parse(options.listen);
  const folder = new DataFolder(options.data);
  folder.claim();
  const ips = [...new Set([...DEFAULT_SERVING_NAMES.ips, addr.text])];
  const pki = await openPki(join(folder.path, 'pki'), { ...DEFAULT_SERVING_NAMES, ips });
  const store = openSqliteStore(join(folder.path, 'objects.db'));
  const server = await createApiServer({
    store,
    pki,
    log,
    serviceCIDRs: [Prefix.parse(options.serviceCidr)],
    advertised: { address: options.advertiseAddress ?? reachable(addr), port },
  });
  await server.listenTls(addr.text, port);
  writeFileSync(folder.kubeconfig, kubeconfigFor(pki, { server: `https://${options.listen}` }), {
    mode: 0o600,
  });
  log.info('serving', { address: options.listen, kubeconfig: folder.kubeconfig });
  ready();
  await aborted(signal);
  await server.close();
  await store.close();
}

/** Where pods find this server: what it listens on, or, as kube-apiserver has it, the machine's first address beyond loopback. */
function reachable(listening: Addr): string {
  if (!listening.isLoopback && !listening.isUnspecified) return listening.text;
  const own = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? []);
  const found = own.find(({ internal, family }) => !internal && family === 'IPv4');
  if (found !== undefined) return found.address;
  throw new Fault(
    'FE006',
    'this machine has no address beyond loopback',
    'name one with --advertise-address',
  );
}
