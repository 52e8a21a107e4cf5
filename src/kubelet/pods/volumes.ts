import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import type { KeyToPath, Volume, VolumeProjection } from 'kubernetes-types/core/v1.js';
import type { Container } from '../../kube/objects.ts';
import { bind, type OciMount } from '../runtime/oci-config.ts';
import { fieldOf, type PodFacts } from './downward.ts';
import { expand } from './expansion.ts';
import { NotYet, type Sources } from './sources.ts';

/** Where upstream's admission and the agent put the credentials of the pod's ServiceAccount. */
export const SERVICE_ACCOUNT_DIR = '/var/run/secrets/kubernetes.io/serviceaccount';
const TOKEN_SECONDS = 3607;
/** The mode of files of configMap, secret, downwardAPI and projected volumes unless said. */
const FILE_MODE = 0o644;

/** A file of a volume. */
interface VolumeFile {
  readonly path: string;
  readonly content: Uint8Array | string;
  readonly mode: number;
}

/**
 * Makes a pod's volumes as folders below `dir`. Files of objects are written once, when the pod starts.
 * Throws {@link NotYet} (FailedMount) for what does not exist yet and for kinds that are refused: hostPath would hand the
 * machine's files out, claims need storage there is none of.
 */
export async function makeVolumes(dir: string, facts: PodFacts, sources: Sources): Promise<void> {
  for (const volume of facts.pod.spec?.volumes ?? []) {
    const folder = join(dir, volume.name);
    mkdirSync(folder, { recursive: true });
    if (volume.emptyDir !== undefined) chmodSync(folder, 0o777);
    else for (const file of await filesOf(volume, facts, sources)) put(folder, file);
  }
  if (wantsCredentials(facts)) {
    const folder = join(dir, CREDENTIALS);
    mkdirSync(folder, { recursive: true });
    const projection = { sources: CREDENTIAL_SOURCES };
    for (const file of await projected(projection, facts, sources)) put(folder, file);
  }
}

/** The mounts of a container; call it after {@link makeVolumes}. */
export function volumeMounts(
  dir: string,
  container: Container,
  facts: PodFacts,
  environment: ReadonlyMap<string, string>,
): readonly OciMount[] {
  const declared = (container.volumeMounts ?? []).map((mount) => {
    const volume = facts.pod.spec?.volumes?.find((one) => one.name === mount.name);
    const sub = mount.subPathExpr === undefined ? mount.subPath : expand(mount.subPathExpr, environment);
    const path = normalize(join('/', sub ?? ''));
    const source = join(dir, mount.name, path);
    if (path !== '/' && volume?.emptyDir !== undefined) mkdirSync(source, { recursive: true });
    const isReadOnly = mount.readOnly === true || volume?.emptyDir === undefined;
    return bind(source, mount.mountPath, isReadOnly ? 'ro' : 'rw');
  });
  const isMounted = declared.some((mount) => realMount(mount.destination) === realMount(SERVICE_ACCOUNT_DIR));
  if (!wantsCredentials(facts) || isMounted) return declared;
  return [...declared, bind(join(dir, CREDENTIALS), realMount(SERVICE_ACCOUNT_DIR), 'ro')];
}

/** /var/run is a symbolic link to /run in every container. */
const realMount = (path: string) => normalize(path).replace(/^\/var\/run\//, '/run/');

const CREDENTIALS = 'kube-api-access';
const CREDENTIAL_SOURCES: VolumeProjection[] = [
  { serviceAccountToken: { path: 'token', expirationSeconds: TOKEN_SECONDS } },
  { configMap: { name: 'kube-root-ca.crt', items: [{ key: 'ca.crt', path: 'ca.crt' }] } },
  { downwardAPI: { items: [{ path: 'namespace', fieldRef: { fieldPath: 'metadata.namespace' } }] } },
];

/** False when the pod declines, or when admission has put the volume into the pod already. */
function wantsCredentials(facts: PodFacts): boolean {
  const spec = facts.pod.spec;
  if (spec?.automountServiceAccountToken === false) return false;
  if (spec?.serviceAccountName === undefined || spec.serviceAccountName === '') return false;
  const containers = [...(spec.initContainers ?? []), ...(spec.containers ?? [])];
  return !containers.some((one) =>
    (one.volumeMounts ?? []).some((mount) => realMount(mount.mountPath) === realMount(SERVICE_ACCOUNT_DIR)),
  );
}

async function filesOf(volume: Volume, facts: PodFacts, sources: Sources): Promise<readonly VolumeFile[]> {
  const { configMap, secret, downwardAPI } = volume;
  if (volume.projected !== undefined) return projected(volume.projected, facts, sources);
  const one = (source: VolumeProjection, defaultMode: number | undefined) =>
    projected({ sources: [source], ...(defaultMode === undefined ? {} : { defaultMode }) }, facts, sources);
  if (configMap !== undefined) return one({ configMap }, configMap.defaultMode);
  if (secret !== undefined) {
    const { secretName = '', items, optional } = secret;
    const projection = {
      name: secretName,
      ...(items === undefined ? {} : { items }),
      ...(optional === undefined ? {} : { optional }),
    };
    return one({ secret: projection }, secret.defaultMode);
  }
  if (downwardAPI !== undefined) {
    return one({ downwardAPI: { items: downwardAPI.items ?? [] } }, downwardAPI.defaultMode);
  }
  const kind = Object.keys(volume).find((key) => key !== 'name') ?? 'unknown';
  throw new NotYet('FailedMount', `volume "${volume.name}": ${kind} volumes are refused in this cluster`);
}

async function projected(
  projection: NonNullable<Volume['projected']>,
  facts: PodFacts,
  sources: Sources,
): Promise<readonly VolumeFile[]> {
  const mode = projection.defaultMode ?? FILE_MODE;
  const files: VolumeFile[] = [];
  for (const source of projection.sources ?? []) files.push(...(await project(source, mode, facts, sources)));
  return files;
}

async function project(
  source: VolumeProjection,
  mode: number,
  facts: PodFacts,
  sources: Sources,
): Promise<readonly VolumeFile[]> {
  const namespace = facts.pod.metadata?.namespace ?? 'default';
  if (source.configMap !== undefined) {
    const { name = '', items, optional } = source.configMap;
    const found = await sources.configMap(namespace, name);
    if (found === undefined && optional !== true) throw missing('configmap', name);
    const binary = Object.entries(found?.binaryData ?? {}).map(
      ([key, value]) => [key, bytes(value)] as const,
    );
    const data = new Map<string, Uint8Array | string>([...Object.entries(found?.data ?? {}), ...binary]);
    return pick(data, items, optional, mode, name);
  }
  if (source.secret !== undefined) {
    const { name = '', items, optional } = source.secret;
    const found = await sources.secret(namespace, name);
    if (found === undefined && optional !== true) throw missing('secret', name);
    const data = Object.entries(found?.data ?? {}).map(([key, value]) => [key, bytes(value)] as const);
    return pick(new Map(data), items, optional, mode, name);
  }
  if (source.serviceAccountToken !== undefined) {
    const { path, audience, expirationSeconds = TOKEN_SECONDS } = source.serviceAccountToken;
    const request = { seconds: expirationSeconds, ...(audience === undefined ? {} : { audience }) };
    return [{ path, content: await sources.token(facts.pod, request), mode: FILE_MODE }];
  }
  if (source.downwardAPI !== undefined) {
    return (source.downwardAPI.items ?? []).map((item) => {
      if (item.fieldRef === undefined)
        throw new NotYet('FailedMount', 'resourceFieldRef is not supported here');
      return { path: item.path, content: fieldOf(item.fieldRef, facts), mode: item.mode ?? mode };
    });
  }
  throw new NotYet('FailedMount', 'clusterTrustBundle projections are refused in this cluster');
}

function pick(
  data: ReadonlyMap<string, Uint8Array | string>,
  items: readonly KeyToPath[] | undefined,
  optional: boolean | undefined,
  mode: number,
  name: string,
): readonly VolumeFile[] {
  if (items === undefined) return [...data].map(([path, content]) => ({ path, content, mode }));
  return items.flatMap((item) => {
    const content = data.get(item.key);
    if (content !== undefined) return [{ path: item.path, content, mode: item.mode ?? mode }];
    if (optional === true) return [];
    throw new NotYet('FailedMount', `references non-existent key: ${item.key} of "${name}"`);
  });
}

const missing = (kind: string, name: string) => new NotYet('FailedMount', `${kind} "${name}" not found`);
const bytes = (base64: string) => Buffer.from(base64, 'base64');

function put(folder: string, file: VolumeFile): void {
  // `..` in a path of the API never leaves the volume: the path is resolved as if the volume were the root.
  const path = join(folder, normalize(join('/', file.path)));
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, file.content);
  chmodSync(path, file.mode);
}
