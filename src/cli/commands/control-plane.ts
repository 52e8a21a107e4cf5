import { renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  createApiServer,
  DEFAULT_SERVING_NAMES,
  kubeconfigFor,
  openPki,
  type Pki,
} from '../../apiserver/api-server.ts';
import { aborted } from '../../client/clock.ts';
import { socketClient } from '../../client/http-client.ts';
import { dnsObjects, ensure } from '../../cluster/addons.ts';
import { writeProfileNote } from '../../cluster/profile-note.ts';
import { ADMIN_SOCKET, type ControlPlaneSettings, readSettings, TLS_SOCKET } from '../../cluster/settings.ts';
import { runControllers } from '../../controllers/controllers.ts';
import { openSqliteStore } from '../../store/sqlite-store.ts';
import { apiServiceAddress, type ClusterProfile, dnsServiceAddress, profileOf } from '../../world/profile.ts';
import { type DaemonOptions, daemonContext } from '../daemon.ts';

/** API server, controllers and scheduler in one process, on the control plane's host. */
export async function controlPlane(options: DaemonOptions): Promise<void> {
  const settings = readSettings<ControlPlaneSettings>(options.config, 'fairlead control-plane');
  const { log, signal, ready } = daemonContext('control-plane');
  const profile = profileOf(settings.profile);
  const pki = await openPki(join(settings.dataDir, 'pki'), servingNames(settings, profile));
  const store = openSqliteStore(join(settings.dataDir, 'objects.db'));
  const { address, port } = settings;
  const server = await createApiServer({
    store,
    pki,
    log: log.with({ component: 'apiserver' }),
    serviceCIDRs: [profile.serviceCIDR],
    advertised: { address, port },
  });
  await server.listenUnix(ADMIN_SOCKET);
  await server.listenTlsUnix(TLS_SOCKET);
  await server.listenTls(address, port);
  writeKubeconfig(settings, pki);

  const client = socketClient(ADMIN_SOCKET);
  const { podCIDR } = profile;
  const controllers = runControllers({
    client,
    signal,
    podCIDR,
    rootCa: pki.ca,
    log: log.with({ component: 'controllers' }),
  });
  await writeProfileNote(client, profile);
  await ensure(client, dnsObjects(dnsServiceAddress(profile), settings.clusterDomain));
  ready();

  await aborted(signal);
  await controllers.ended();
  await client.close();
  await server.close();
  await store.close();
}

function servingNames(
  { address }: ControlPlaneSettings,
  profile: ClusterProfile,
): typeof DEFAULT_SERVING_NAMES {
  const ips = new Set([...DEFAULT_SERVING_NAMES.ips, address, apiServiceAddress(profile).text]);
  return { ...DEFAULT_SERVING_NAMES, ips: [...ips] };
}

/** Whole or not at all: somebody may be reading it. */
function writeKubeconfig({ kubeconfig, publicServer }: ControlPlaneSettings, pki: Pki): void {
  writeFileSync(`${kubeconfig}.new`, kubeconfigFor(pki, { server: publicServer }), { mode: 0o600 });
  renameSync(`${kubeconfig}.new`, kubeconfig);
}
