/** A real API server in a process of its own, as `node api-server.ts FOLDER PORT`: TLS on loopback, plain HTTP on FOLDER/admin.sock. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createApiServer, kubeconfigFor, openPki } from '../../src/apiserver/api-server.ts';
import { lineLog } from '../../src/fault/log.ts';
import { openSqliteStore } from '../../src/store/sqlite-store.ts';
import { SERVICE_RANGE } from './services.ts';

const [folder = '', port = ''] = process.argv.slice(2);
const log = lineLog(
  (line) => process.stderr.write(line),
  () => new Date(),
);
const pki = await openPki(join(folder, 'pki'));
const store = openSqliteStore(join(folder, 'objects.db'));
const server = await createApiServer({ store, pki, log, serviceCIDRs: [SERVICE_RANGE] });
await server.listenTls('127.0.0.1', Number(port));
await server.listenUnix(join(folder, 'admin.sock'));
writeFileSync(join(folder, 'kubeconfig'), kubeconfigFor(pki, { server: `https://127.0.0.1:${port}` }));
process.stdout.write('ready\n');
