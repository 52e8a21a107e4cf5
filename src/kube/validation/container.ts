/** Containers: what every container needs, and what tells regular and init containers apart. */
import type { Container } from '../objects.ts';
import { compareQuantities, isQuantity, parseQuantity, QUANTITY_MESSAGE, quantityText } from '../quantity.ts';
import { checkFormat, checkOneOf, checkPortNumber, checkProtocol } from './checks.ts';
import { duplicate, type FieldError, forbidden, invalid, notFound, required } from './field-error.ts';
import { dns1123Label, environmentName, portName, qualifiedName } from './formats.ts';
import { checkHooks, checkNoHooks } from './probe.ts';

/** What containers are checked against. */
export interface PodSurroundings {
  readonly volumeNames: ReadonlySet<string>;
  readonly graceSeconds: number | undefined;
}

export function checkContainers(
  field: string,
  containers: readonly Container[],
  pod: PodSurroundings,
): FieldError[] {
  if (containers.length === 0) return [required(field)];
  const names = new Set<string>();
  const errors = containers.flatMap((container, at) => {
    const path = `${field}[${at}]`;
    return [
      ...checkContainer(path, container, pod),
      ...checkNewName(path, container.name, names),
      ...checkHooks(path, container, pod.graceSeconds),
      ...(container.restartPolicy === undefined
        ? []
        : [forbidden(`${path}.restartPolicy`, 'may not be set for non-init containers')]),
    ];
  });
  return [...errors, ...checkHostPorts(field, containers)];
}

/** @param regular the pod's other containers, whose names are taken. */
export function checkInitContainers(
  field: string,
  containers: readonly Container[],
  regular: readonly Container[],
  pod: PodSurroundings,
): FieldError[] {
  const names = new Set(regular.map(({ name }) => name));
  return containers.flatMap((container, at) => {
    const path = `${field}[${at}]`;
    const sidecar = container.restartPolicy === 'Always';
    return [
      ...checkContainer(path, container, pod),
      ...(container.restartPolicy === undefined
        ? []
        : checkOneOf(`${path}.restartPolicy`, container.restartPolicy, ['Always'])),
      ...checkNewName(path, container.name, names),
      // Init containers run one by one, so their host ports do not meet.
      ...checkHostPorts(field, [container]),
      ...(sidecar ? checkHooks(path, container, pod.graceSeconds) : checkNoHooks(path, container)),
    ];
  });
}

function checkNewName(path: string, name: string | undefined, names: Set<string>): FieldError[] {
  if (name === undefined || name === '') return [];
  if (names.has(name)) return [duplicate(`${path}.name`, name)];
  names.add(name);
  return [];
}

function checkContainer(path: string, container: Container, pod: PodSurroundings): FieldError[] {
  const { name = '', image = '' } = container;
  return [
    ...(name === '' ? [required(`${path}.name`)] : checkFormat(`${path}.name`, name, dns1123Label)),
    ...(image === '' ? [required(`${path}.image`)] : []),
    ...checkOneOf(`${path}.terminationMessagePolicy`, container.terminationMessagePolicy, [
      'File',
      'FallbackToLogsOnError',
    ]),
    ...checkContainerPorts(`${path}.ports`, container.ports),
    ...checkEnvironment(`${path}.env`, container.env),
    ...checkMounts(`${path}.volumeMounts`, container.volumeMounts, pod.volumeNames),
    ...checkOneOf(`${path}.imagePullPolicy`, container.imagePullPolicy, ['Always', 'IfNotPresent', 'Never']),
    ...checkResources(`${path}.resources`, container.resources),
  ];
}

function checkContainerPorts(field: string, ports: Container['ports'] = []): FieldError[] {
  const names = new Set<string>();
  return ports.flatMap((port, at) => {
    const path = `${field}[${at}]`;
    const { name = '', containerPort = 0, hostPort = 0 } = port;
    const errors: FieldError[] = [];
    if (name !== '') {
      const malformed = checkFormat(`${path}.name`, name, portName);
      if (malformed.length > 0) errors.push(...malformed);
      else if (names.has(name)) errors.push(duplicate(`${path}.name`, name));
      else names.add(name);
    }
    return [
      ...errors,
      ...(containerPort === 0
        ? [required(`${path}.containerPort`)]
        : checkPortNumber(`${path}.containerPort`, containerPort)),
      ...(hostPort === 0 ? [] : checkPortNumber(`${path}.hostPort`, hostPort)),
      ...checkProtocol(`${path}.protocol`, port.protocol),
    ];
  });
}

/** The containers of a pod share the node's ports. */
function checkHostPorts(field: string, containers: readonly Container[]): FieldError[] {
  const seen = new Set<string>();
  return containers.flatMap((container, at) =>
    (container.ports ?? []).flatMap(({ protocol, hostIP = '', hostPort = 0 }, portAt) => {
      if (hostPort === 0) return [];
      const key = `${protocol}/${hostIP}/${hostPort}`;
      if (seen.has(key)) return [duplicate(`${field}[${at}].ports[${portAt}].hostPort`, key)];
      seen.add(key);
      return [];
    }),
  );
}

function checkEnvironment(field: string, variables: Container['env'] = []): FieldError[] {
  return variables.flatMap(({ name = '', value = '', valueFrom }, at) => {
    const path = `${field}[${at}]`;
    const errors =
      name === '' ? [required(`${path}.name`)] : checkFormat(`${path}.name`, name, environmentName);
    if (valueFrom === undefined) return errors;
    const from = `${path}.valueFrom`;
    const sources = Object.values(valueFrom).filter((source) => source !== undefined);
    if (value !== '') errors.push(invalid(from, '', 'may not be specified when `value` is not empty'));
    if (sources.length === 0) {
      const kinds = '`fieldRef`, `resourceFieldRef`, `configMapKeyRef` or `secretKeyRef`';
      errors.push(invalid(from, '', `must specify one of: ${kinds}`));
    } else if (sources.length > 1) {
      errors.push(invalid(from, '', 'may not have more than one field specified at a time'));
    }
    return errors;
  });
}

function checkMounts(
  field: string,
  mounts: Container['volumeMounts'] = [],
  volumeNames: ReadonlySet<string>,
): FieldError[] {
  const paths = new Set<string>();
  return mounts.flatMap(({ name = '', mountPath = '' }, at) => {
    const path = `${field}[${at}]`;
    const errors: FieldError[] = [];
    if (name === '') errors.push(required(`${path}.name`));
    else if (!volumeNames.has(name)) errors.push(notFound(`${path}.name`, name));
    if (mountPath === '') errors.push(required(`${path}.mountPath`));
    else if (paths.has(mountPath)) errors.push(invalid(`${path}.mountPath`, mountPath, 'must be unique'));
    paths.add(mountPath);
    return errors;
  });
}

/** Resources a container may name without a domain; hugepages-<size> besides. */
const STANDARD = new Set(['cpu', 'memory', 'ephemeral-storage']);

function checkResources(field: string, resources: Container['resources'] = {}): FieldError[] {
  const { limits = {}, requests = {} } = resources;
  const errors = [
    ...Object.entries(limits).flatMap(([name, value]) =>
      checkAmount(`${field}.limits[${name}]`, name, value),
    ),
    ...Object.entries(requests).flatMap(([name, value]) =>
      checkAmount(`${field}.requests[${name}]`, name, value),
    ),
  ];
  for (const [name, request] of Object.entries(requests)) {
    const limit = limits[name];
    if (limit === undefined || !isQuantity(limit) || !isQuantity(request)) continue;
    if (compareQuantities(parseQuantity(request), parseQuantity(limit)) <= 0) continue;
    const text = quantityText(parseQuantity(limit));
    errors.push(
      invalid(
        `${field}.requests`,
        quantityText(parseQuantity(request)),
        `must be less than or equal to ${name} limit of ${text}`,
      ),
    );
  }
  return errors;
}

function checkAmount(field: string, name: string, value: string): FieldError[] {
  const errors = checkFormat(field, name, qualifiedName);
  if (!name.includes('/') && !STANDARD.has(name) && !name.startsWith('hugepages-')) {
    errors.push(invalid(field, name, 'must be a standard resource for containers'));
  }
  return [...errors, ...checkQuantity(field, value)];
}

/** An amount of a resource: well formed and not negative. */
export function checkQuantity(field: string, value: string | number): FieldError[] {
  if (!isQuantity(value)) {
    return [invalid(field, value, QUANTITY_MESSAGE)];
  }
  const quantity = parseQuantity(value);
  return quantity.nano < 0n
    ? [invalid(field, quantityText(quantity), 'must be greater than or equal to 0')]
    : [];
}
