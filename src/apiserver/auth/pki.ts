/**
 * The keys and certificates of a cluster, in its data folder: a CA, the serving certificate, the administrator's client
 * certificate and token, and the key that signs ServiceAccount tokens.
 *
 * Promises: made once and reused; every file is readable by its owner alone (0600); a half-written folder is made anew.
 * Refuses: to share the CA's key. It signs what is made here and is not kept.
 *
 * @example const pki = await openPki('/var/lib/fairlead/pki');
 */
import { generateKeyPairSync, randomBytes, X509Certificate } from 'node:crypto';
import { chmod, mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Pem, ServingNames } from './issue-certificates.ts';

export interface Pki {
  /** The CA's certificate, PEM. */
  readonly ca: string;
  readonly serving: Pem;
  /** A client certificate of user kubernetes-admin in group system:masters. */
  readonly admin: Pem;
  /** A static bearer token of the same user. */
  readonly adminToken: string;
  /** Signs and verifies ServiceAccount tokens: an EC P-256 private key, PEM. */
  readonly tokenKey: string;
}

export const DEFAULT_SERVING_NAMES: ServingNames = {
  dns: [
    'localhost',
    'kubernetes',
    'kubernetes.default',
    'kubernetes.default.svc',
    'kubernetes.default.svc.cluster.local',
  ],
  ips: ['127.0.0.1', '192.168.0.127', '10.247.0.1'],
};

const FILES = {
  ca: 'ca.crt',
  servingCertificate: 'apiserver.crt',
  servingKey: 'apiserver.key',
  adminCertificate: 'admin.crt',
  adminKey: 'admin.key',
  adminToken: 'admin.token',
  tokenKey: 'service-account.key',
} as const;

type Contents = Record<keyof typeof FILES, string>;

/**
 * Reads the folder, or makes it. It is made anew as a whole if a file is missing, a certificate ends within 30 days, or the
 * serving certificate lacks a name: kubeconfigs handed out before stop working then.
 */
export async function openPki(
  folder: string,
  names: ServingNames = DEFAULT_SERVING_NAMES,
  now: number = Date.now(),
): Promise<Pki> {
  const found = await readAll(folder);
  if (found !== undefined && isUsable(found, names, now)) return pkiOf(found);
  const made = await makeAll(names, now);
  await writeAll(folder, made);
  return pkiOf(made);
}

const pkiOf = (contents: Contents): Pki => ({
  ca: contents.ca,
  serving: { certificate: contents.servingCertificate, key: contents.servingKey },
  admin: { certificate: contents.adminCertificate, key: contents.adminKey },
  adminToken: contents.adminToken.trim(),
  tokenKey: contents.tokenKey,
});

async function readAll(folder: string): Promise<Contents | undefined> {
  try {
    const pairs = await Promise.all(
      Object.entries(FILES).map(async ([name, file]) => [name, await readFile(join(folder, file), 'utf8')]),
    );
    return Object.fromEntries(pairs) as Contents;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

function isUsable(contents: Contents, names: ServingNames, now: number): boolean {
  const serving = new X509Certificate(contents.servingCertificate);
  const fresh = [serving, new X509Certificate(contents.adminCertificate)].every(
    (certificate) => Date.parse(certificate.validTo) - now > 30 * 24 * 3_600_000,
  );
  const named =
    names.dns.every((name) => serving.checkHost(name) !== undefined) &&
    names.ips.every((ip) => serving.checkIP(ip) !== undefined);
  return fresh && named && serving.checkIssued(new X509Certificate(contents.ca));
}

async function makeAll(names: ServingNames, now: number): Promise<Contents> {
  const { issueAuthority, issueServing, issueClient } = await import('./issue-certificates.ts');
  const authority = await issueAuthority('fairlead-ca', now);
  const serving = await issueServing(authority, names, now);
  const admin = await issueClient(authority, 'kubernetes-admin', ['system:masters'], now);
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return {
    ca: authority.pem.certificate,
    servingCertificate: serving.certificate,
    servingKey: serving.key,
    adminCertificate: admin.certificate,
    adminKey: admin.key,
    adminToken: randomBytes(32).toString('base64url'),
    tokenKey: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  };
}

/** Each file appears whole or not at all, and never with a wider mode than its own. */
async function writeAll(folder: string, contents: Contents): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  await chmod(folder, 0o700);
  for (const [name, file] of Object.entries(FILES)) {
    const path = join(folder, file);
    await writeFile(`${path}.new`, contents[name as keyof Contents], { mode: 0o600 });
    await rename(`${path}.new`, path);
  }
}
