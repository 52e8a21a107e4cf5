import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { delimiter, dirname, join, resolve } from 'node:path';
import { parse } from 'yaml';
import { Fault } from '../fault/fault.ts';
import { type Clock, SYSTEM_CLOCK } from './clock.ts';
import { type Connection, type HttpClientOptions, HttpKubeClient } from './http-client.ts';

/** What a context of a kubeconfig says. */
export interface KubeContext {
  readonly name: string;
  /** The namespace of names that do not say theirs. */
  readonly namespace: string;
  readonly connection: Connection;
}

/** A client for a context of a kubeconfig; see {@link readKubeconfig}. */
export async function clientFromKubeconfig(
  path?: string,
  context?: string,
  options?: HttpClientOptions,
): Promise<HttpKubeClient> {
  return new HttpKubeClient((await readKubeconfig(path, context)).connection, options);
}

/**
 * Reads `path`, or the files $KUBECONFIG names (the first that defines a name wins), or ~/.kube/config.
 * Throws {@link Fault} FE008 when a file, context, cluster or user is missing or asks for what we do not do (exec plugins).
 */
export async function readKubeconfig(path?: string, context?: string): Promise<KubeContext> {
  const files = path === undefined ? defaultFiles() : [path];
  const config = merge(await Promise.all(files.map((file) => readConfig(file, files.length > 1))));
  const name = context ?? config.current;
  if (name === undefined)
    throw broken(`no current context in ${files.join(', ')}`, 'name one with --context');
  const chosen = named(config.contexts, name, 'context');
  const cluster = named(config.clusters, chosen.cluster ?? '', 'cluster');
  const user = chosen.user === undefined ? {} : named(config.users, chosen.user, 'user');
  return {
    name,
    namespace: chosen.namespace ?? 'default',
    connection: await connectionOf(cluster, user),
  };
}

const IN_CLUSTER = '/var/run/secrets/kubernetes.io/serviceaccount';

/** A client with the ServiceAccount of the pod this process runs in. Throws {@link Fault} FE008 outside of one. */
export async function inClusterClient(options?: HttpClientOptions): Promise<HttpKubeClient> {
  const { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port = '443' } = process.env;
  if (host === undefined) {
    throw broken('KUBERNETES_SERVICE_HOST is not set: this is no pod', 'pass --kubeconfig');
  }
  const server = `https://${host.includes(':') ? `[${host}]` : host}:${port}`;
  const ca = await readCredential(join(IN_CLUSTER, 'ca.crt'));
  const token = tokenFile(join(IN_CLUSTER, 'token'), options?.clock);
  return new HttpKubeClient({ server, tls: { ca }, token }, options);
}

interface Cluster {
  readonly server?: string;
  readonly 'certificate-authority'?: string;
  readonly 'certificate-authority-data'?: string;
  readonly 'insecure-skip-tls-verify'?: boolean;
  readonly 'tls-server-name'?: string;
  readonly 'proxy-url'?: string;
}

interface User {
  readonly 'client-certificate'?: string;
  readonly 'client-certificate-data'?: string;
  readonly 'client-key'?: string;
  readonly 'client-key-data'?: string;
  readonly token?: string;
  readonly tokenFile?: string;
  readonly username?: string;
  readonly exec?: { readonly command?: string };
  readonly 'auth-provider'?: { readonly name?: string };
}

interface Context {
  readonly cluster?: string;
  readonly user?: string;
  readonly namespace?: string;
}

interface Config {
  readonly current: string | undefined;
  readonly contexts: ReadonlyMap<string, Context>;
  readonly clusters: ReadonlyMap<string, Cluster>;
  readonly users: ReadonlyMap<string, User>;
}

function defaultFiles(): string[] {
  const env = process.env.KUBECONFIG;
  if (env === undefined || env === '') return [join(homedir(), '.kube', 'config')];
  return env.split(delimiter).filter((file) => file !== '');
}

interface RawConfig {
  readonly 'current-context'?: string;
  readonly contexts?: readonly { readonly name: string; readonly context?: Context }[];
  readonly clusters?: readonly { readonly name: string; readonly cluster?: Cluster }[];
  readonly users?: readonly { readonly name: string; readonly user?: User }[];
}

async function readConfig(file: string, mayBeMissing: boolean): Promise<Config> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (cause) {
    // As kubectl does: of several files some may not exist.
    if (mayBeMissing && isMissing(cause)) text = '';
    else throw broken(`the kubeconfig ${file} cannot be read`, 'pass --kubeconfig or set KUBECONFIG', cause);
  }
  const base = dirname(resolve(file));
  const raw = parseConfig(text, file);
  const map = <T>(all: Iterable<readonly [string, T]>) => new Map(all);
  return {
    current: raw['current-context'] || undefined,
    contexts: map((raw.contexts ?? []).map((one) => [one.name, one.context ?? {}])),
    clusters: map((raw.clusters ?? []).map((one) => [one.name, absolute(one.cluster ?? {}, base, FILES)])),
    users: map((raw.users ?? []).map((one) => [one.name, absolute(one.user ?? {}, base, FILES)])),
  };
}

function parseConfig(text: string, file: string): RawConfig {
  try {
    const raw: unknown = parse(text) ?? {};
    if (typeof raw === 'object') return raw as RawConfig;
  } catch (cause) {
    throw broken(`the kubeconfig ${file} is no YAML`, 'see `kubectl config view`', cause);
  }
  throw broken(`the kubeconfig ${file} holds no mapping`, 'see `kubectl config view`');
}

const FILES = ['certificate-authority', 'client-certificate', 'client-key', 'tokenFile'] as const;

/** Paths of a kubeconfig are relative to its folder. */
function absolute<T extends object>(entry: T, base: string, keys: readonly string[]): T {
  const files = Object.entries(entry).map(([key, value]) =>
    keys.includes(key) && typeof value === 'string' ? [key, resolve(base, value)] : [key, value],
  );
  return Object.fromEntries(files) as T;
}

function merge(configs: readonly Config[]): Config {
  const first = <T>(maps: readonly ReadonlyMap<string, T>[]) =>
    new Map(maps.toReversed().flatMap((map) => [...map]));
  return {
    current: configs.find((config) => config.current !== undefined)?.current,
    contexts: first(configs.map((config) => config.contexts)),
    clusters: first(configs.map((config) => config.clusters)),
    users: first(configs.map((config) => config.users)),
  };
}

async function connectionOf(cluster: Cluster, user: User): Promise<Connection> {
  if (cluster.server === undefined || !URL.canParse(cluster.server)) {
    throw broken(
      `the cluster's server '${cluster.server ?? ''}' is no URL`,
      'write it like https://host:6443',
    );
  }
  if (cluster['proxy-url'] !== undefined) throw unsupported('a proxy (proxy-url)');
  const ca = await pem(cluster['certificate-authority-data'], cluster['certificate-authority']);
  const cert = await pem(user['client-certificate-data'], user['client-certificate']);
  const key = await pem(user['client-key-data'], user['client-key']);
  const serverName = cluster['tls-server-name'];
  const token = tokenOf(user, cert !== undefined);
  return {
    server: cluster.server,
    tls: {
      ...(ca === undefined ? {} : { ca }),
      ...(cert === undefined ? {} : { cert }),
      ...(key === undefined ? {} : { key }),
      ...(serverName === undefined ? {} : { serverName }),
      insecure: cluster['insecure-skip-tls-verify'] === true,
    },
    ...(token === undefined ? {} : { token }),
  };
}

function tokenOf(user: User, hasCertificate: boolean): Connection['token'] {
  // The order is client-go's: a token file wins over the token, which is its last known content.
  if (user.tokenFile !== undefined) return tokenFile(user.tokenFile);
  const { token } = user;
  if (token !== undefined) return () => Promise.resolve(token);
  if (hasCertificate) return undefined;
  if (user.exec !== undefined) throw unsupported(`the exec plugin '${user.exec.command ?? ''}'`);
  if (user['auth-provider'] !== undefined) throw unsupported('an auth-provider');
  if (user.username !== undefined) throw unsupported('a user name with password');
  return undefined;
}

/** client-go reads a token file again after a minute; the kubelet rotates the token well before it runs out. */
const TOKEN_AGE_MS = 60_000;

function tokenFile(file: string, clock: Clock = SYSTEM_CLOCK): (fresh: boolean) => Promise<string> {
  let held: { readonly token: string; readonly readAt: number } | undefined;
  return async (fresh) => {
    if (held === undefined || fresh || clock.now() - held.readAt > TOKEN_AGE_MS) {
      held = { token: (await readCredential(file)).trim(), readAt: clock.now() };
    }
    return held.token;
  };
}

async function pem(data: string | undefined, file: string | undefined): Promise<string | undefined> {
  if (data !== undefined && data !== '') return Buffer.from(data, 'base64').toString('utf8');
  return file === undefined ? undefined : readCredential(file);
}

async function readCredential(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (cause) {
    throw broken(`the credential ${file} cannot be read`, 'see that it exists and is readable', cause);
  }
}

function named<T>(map: ReadonlyMap<string, T>, name: string, what: string): T {
  const found = map.get(name);
  if (found !== undefined) return found;
  const known = [...map.keys()].join(', ') || 'none';
  throw broken(`the kubeconfig has no ${what} '${name}'`, `it knows: ${known}`);
}

const isMissing = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && error.code === 'ENOENT';

const broken = (message: string, cure: string, cause?: unknown): Fault =>
  new Fault('FE008', message, cure, cause === undefined ? undefined : { cause });

const unsupported = (what: string): Fault =>
  broken(
    `the kubeconfig asks for ${what}, which is not supported`,
    'use a client certificate or a token: `kubectl create token NAME` makes one',
  );
