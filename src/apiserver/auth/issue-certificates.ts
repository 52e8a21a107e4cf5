/**
 * Makes certificates. Apart from pki.ts because its libraries take longer to load than the API server to start, and they
 * are needed once in the life of a data folder.
 */
import 'reflect-metadata';
import { webcrypto } from 'node:crypto';
import * as x509 from '@peculiar/x509';

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256' } as const;
const SIGNING = { name: 'ECDSA', hash: 'SHA-256' } as const;
const YEAR_MS = 365 * 24 * 3600 * 1000;

export interface Pem {
  readonly certificate: string;
  readonly key: string;
}

export interface Authority {
  readonly pem: Pem;
  readonly certificate: x509.X509Certificate;
  readonly keys: webcrypto.CryptoKeyPair;
}

export interface ServingNames {
  readonly dns: readonly string[];
  readonly ips: readonly string[];
}

/** A certificate authority for ten years from `now`, in milliseconds. */
export async function issueAuthority(commonName: string, now: number): Promise<Authority> {
  const keys = await newKeys();
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serial(),
    name: `CN=${commonName}`,
    ...validity(now, 10),
    keys,
    signingAlgorithm: SIGNING,
    extensions: [
      new x509.BasicConstraintsExtension(true, undefined, true),
      new x509.KeyUsagesExtension(
        x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.digitalSignature | x509.KeyUsageFlags.cRLSign,
        true,
      ),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return { pem: await pemOf(certificate, keys), certificate, keys };
}

/** What a server shows under all these names. */
export async function issueServing(authority: Authority, names: ServingNames, now: number): Promise<Pem> {
  return issue(authority, now, 'CN=kube-apiserver', x509.ExtendedKeyUsage.serverAuth, [
    new x509.SubjectAlternativeNameExtension([
      ...names.dns.map((value) => ({ type: 'dns' as const, value })),
      ...names.ips.map((value) => ({ type: 'ip' as const, value })),
    ]),
  ]);
}

/** What a client shows: the user is the common name, its groups are the organizations. */
export async function issueClient(
  authority: Authority,
  user: string,
  groups: readonly string[],
  now: number,
): Promise<Pem> {
  const subject = [...groups.map((group) => `O=${group}`), `CN=${user}`].join(', ');
  return issue(authority, now, subject, x509.ExtendedKeyUsage.clientAuth, []);
}

async function issue(
  authority: Authority,
  now: number,
  subject: string,
  usage: string,
  extensions: x509.Extension[],
): Promise<Pem> {
  const keys = await newKeys();
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: serial(),
    subject,
    issuer: authority.certificate.subject,
    ...validity(now, 5),
    signingKey: authority.keys.privateKey,
    publicKey: keys.publicKey,
    signingAlgorithm: SIGNING,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([usage]),
      await x509.AuthorityKeyIdentifierExtension.create(authority.keys.publicKey),
      ...extensions,
    ],
  });
  return pemOf(certificate, keys);
}

const newKeys = (): Promise<webcrypto.CryptoKeyPair> =>
  webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']) as Promise<webcrypto.CryptoKeyPair>;

/** An hour of grace backwards, for clocks that disagree. */
const validity = (now: number, years: number) => ({
  notBefore: new Date(now - 3_600_000),
  notAfter: new Date(now + years * YEAR_MS),
});

/** Positive and 127 bits long (RFC 5280, 4.1.2.2). */
function serial(): string {
  const bytes = webcrypto.getRandomValues(new Uint8Array(16));
  bytes[0] = ((bytes[0] ?? 0) & 0x3f) | 0x40;
  return Buffer.from(bytes).toString('hex');
}

async function pemOf(certificate: x509.X509Certificate, keys: webcrypto.CryptoKeyPair): Promise<Pem> {
  const der = await webcrypto.subtle.exportKey('pkcs8', keys.privateKey);
  return { certificate: certificate.toString('pem'), key: x509.PemConverter.encode(der, 'PRIVATE KEY') };
}
