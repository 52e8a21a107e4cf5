import type { EnvVar } from 'kubernetes-types/core/v1.js';
import type { Container, Service } from '../../kube/objects.ts';
import { fieldOf, type PodFacts } from './downward.ts';
import { expand } from './expansion.ts';
import { NotYet, type Sources } from './sources.ts';

/** The environment of a container by name, in upstream's order of precedence: service links, envFrom, env. */
export async function environmentOf(
  container: Container,
  facts: PodFacts,
  sources: Sources,
): Promise<ReadonlyMap<string, string>> {
  const namespace = facts.pod.metadata?.namespace ?? 'default';
  const known = new Map<string, string>();
  for (const [name, value] of serviceLinks(facts, sources)) known.set(name, value);
  for (const source of container.envFrom ?? []) {
    const entries = await sourceEntries(source, namespace, sources);
    for (const [key, value] of entries) known.set(`${source.prefix ?? ''}${key}`, value);
  }
  for (const variable of container.env ?? []) {
    const value = await variableValue(variable, facts, sources, known);
    if (value !== undefined) known.set(variable.name, value);
  }
  return known;
}

/** The Service `kubernetes` of namespace default always; those of the pod's own namespace unless it declines. */
function serviceLinks(facts: PodFacts, sources: Sources): [string, string][] {
  const namespace = facts.pod.metadata?.namespace ?? 'default';
  const linked = sources.services('default').filter((one) => one.metadata?.name === 'kubernetes');
  if (facts.pod.spec?.enableServiceLinks !== false) {
    const own = sources.services(namespace);
    linked.push(...own.filter((one) => namespace !== 'default' || one.metadata?.name !== 'kubernetes'));
  }
  return linked.flatMap(linkVariables);
}

/** NAME_SERVICE_HOST, NAME_SERVICE_PORT[_PORTNAME] and the variables of Docker links (pkg/kubelet/envvars). */
export function linkVariables(service: Service): [string, string][] {
  const host = service.spec?.clusterIP ?? '';
  const ports = service.spec?.ports ?? [];
  const [first] = ports;
  if (host === '' || host === 'None' || first === undefined) return [];
  const upper = (text: string) => text.toUpperCase().replaceAll('-', '_');
  const name = upper(service.metadata?.name ?? '');
  const url = (port: { protocol?: string; port: number }) =>
    `${(port.protocol ?? 'TCP').toLowerCase()}://${host.includes(':') ? `[${host}]` : host}:${port.port}`;
  const variables: [string, string][] = [
    [`${name}_SERVICE_HOST`, host],
    [`${name}_SERVICE_PORT`, String(first.port)],
    [`${name}_PORT`, url(first)],
  ];
  for (const port of ports) {
    if (port.name) variables.push([`${name}_SERVICE_PORT_${upper(port.name)}`, String(port.port)]);
    const link = `${name}_PORT_${port.port}_${port.protocol ?? 'TCP'}`;
    variables.push([link, url(port)], [`${link}_PROTO`, (port.protocol ?? 'TCP').toLowerCase()]);
    variables.push([`${link}_PORT`, String(port.port)], [`${link}_ADDR`, host]);
  }
  return variables;
}

async function variableValue(
  variable: EnvVar,
  facts: PodFacts,
  sources: Sources,
  known: ReadonlyMap<string, string>,
): Promise<string | undefined> {
  const from = variable.valueFrom;
  if (from === undefined) return expand(variable.value ?? '', known);
  if (from.fieldRef !== undefined) return fieldOf(from.fieldRef, facts);
  const namespace = facts.pod.metadata?.namespace ?? 'default';
  if (from.configMapKeyRef !== undefined) {
    const { name = '', key, optional } = from.configMapKeyRef;
    const data = (await sources.configMap(namespace, name))?.data;
    return required(data?.[key], optional, `key ${key} of configmap "${namespace}/${name}" not found`);
  }
  if (from.secretKeyRef !== undefined) {
    const { name = '', key, optional } = from.secretKeyRef;
    const data = (await sources.secret(namespace, name))?.data;
    const value = data?.[key] === undefined ? undefined : decode(data[key]);
    return required(value, optional, `key ${key} of secret "${namespace}/${name}" not found`);
  }
  const what = 'resourceFieldRef is not supported here: containers have no limits';
  throw new NotYet('CreateContainerConfigError', what);
}

async function sourceEntries(
  source: NonNullable<Container['envFrom']>[number],
  namespace: string,
  sources: Sources,
): Promise<[string, string][]> {
  if (source.configMapRef !== undefined) {
    const { name = '', optional } = source.configMapRef;
    const found = await sources.configMap(namespace, name);
    required(found, optional, `configmap "${name}" not found`);
    return Object.entries(found?.data ?? {});
  }
  const { name = '', optional } = source.secretRef ?? {};
  const found = await sources.secret(namespace, name);
  required(found, optional, `secret "${name}" not found`);
  return Object.entries(found?.data ?? {}).map(([key, value]) => [key, decode(value)]);
}

const decode = (base64: string) => Buffer.from(base64, 'base64').toString('utf8');

function required<T>(value: T | undefined, optional: boolean | undefined, message: string): T | undefined {
  if (value === undefined && optional !== true) throw new NotYet('CreateContainerConfigError', message);
  return value;
}
