/** Pods and pod templates (upstream: ValidatePodCreate, ValidatePodUpdate, ValidatePodTemplateSpec). */
import type { Container, Pod, PodSpec, PodTemplateSpec } from '../objects.ts';
import { checkAddress, checkFormat, checkNotNegative, checkOneOf, checkOptionalFormat } from './checks.ts';
import { checkContainers, checkInitContainers } from './container.ts';
import { duplicate, type FieldError, forbidden, invalid, required } from './field-error.ts';
import { dns1123Label, dns1123Subdomain, qualifiedName, rangeMessage } from './formats.ts';
import { checkLabels } from './labels.ts';
import { checkAnnotations } from './object-meta.ts';
import { same } from './same.ts';
import { checkOnlyAddedTolerations, checkTolerations } from './taints.ts';

const MAX_INT32 = 2 ** 31 - 1;

/** The spec of a pod that is created on its own or from a template. */
export function checkPodCreate(pod: Pod): FieldError[] {
  const spec = pod.spec ?? ({} as PodSpec);
  const errors = [...checkPodSpec('spec', spec, true), ...checkImageSpaces(spec)];
  if ((spec.ephemeralContainers ?? []).length > 0) {
    errors.push(forbidden('spec.ephemeralContainers', 'cannot be set on create'));
  }
  if ((spec.nodeName ?? '') !== '' && (spec.schedulingGates ?? []).length > 0) {
    errors.push(forbidden('spec.nodeName', 'cannot be set until all schedulingGates have been cleared'));
  }
  return errors;
}

export function checkPodTemplate(field: string, template: PodTemplateSpec): FieldError[] {
  const spec = template.spec ?? ({} as PodSpec);
  return [
    ...checkLabels(`${field}.labels`, template.metadata?.labels),
    ...checkAnnotations(`${field}.annotations`, template.metadata?.annotations),
    ...checkPodSpec(`${field}.spec`, spec, false),
    ...((spec.ephemeralContainers ?? []).length > 0
      ? [forbidden(`${field}.spec.ephemeralContainers`, 'ephemeral containers not allowed in pod template')]
      : []),
  ];
}

/** @param isPod whether the spec is a pod's own, where hostPort has been defaulted already. */
function checkPodSpec(field: string, spec: PodSpec, isPod: boolean): FieldError[] {
  const { containers = [], initContainers = [] } = spec;
  const pod = {
    volumeNames: new Set((spec.volumes ?? []).map(({ name }) => name)),
    graceSeconds: spec.terminationGracePeriodSeconds,
  };
  return [
    ...checkVolumes(`${field}.volumes`, spec.volumes),
    ...checkContainers(`${field}.containers`, containers, pod),
    ...checkInitContainers(`${field}.initContainers`, initContainers, containers, pod),
    ...(spec.hostNetwork === true ? checkHostNetworkPorts(`${field}.containers`, containers, isPod) : []),
    ...checkOneOf(`${field}.restartPolicy`, spec.restartPolicy, ['Always', 'OnFailure', 'Never']),
    ...checkDNS(field, spec),
    ...checkLabels(`${field}.nodeSelector`, spec.nodeSelector),
    ...checkGates(field, spec),
    ...checkNames(field, spec),
    ...checkTimes(field, spec),
    ...checkTolerations(`${field}.tolerations`, spec.tolerations),
    ...(spec.hostAliases ?? []).flatMap(({ ip = '', hostnames = [] }, at) => [
      ...checkAddress(`${field}.hostAliases[${at}].ip`, ip),
      ...hostnames.flatMap((name, nameAt) =>
        checkFormat(`${field}.hostAliases[${at}].hostnames[${nameAt}]`, name, dns1123Subdomain),
      ),
    ]),
  ];
}

/** Shallow: names and that each volume is of one kind. What a kind asks for is the kubelet's business. */
function checkVolumes(field: string, volumes: PodSpec['volumes'] = []): FieldError[] {
  const names = new Set<string>();
  return volumes.flatMap((volume, at) => {
    const path = `${field}[${at}]`;
    const { name = '', ...sources } = volume;
    const [first, ...others] = Object.entries(sources).filter(([, source]) => source !== undefined);
    const errors = others.map(([kind]) =>
      forbidden(`${path}.${kind}`, 'may not specify more than 1 volume type'),
    );
    if (first === undefined) errors.push(required(path, 'must specify a volume type'));
    if (name === '') errors.push(required(`${path}.name`));
    else {
      errors.push(...checkFormat(`${path}.name`, name, dns1123Label));
      if (names.has(name)) errors.push(duplicate(`${path}.name`, name));
      names.add(name);
    }
    return errors;
  });
}

/** On the node's network a container port is the node's port. */
function checkHostNetworkPorts(
  field: string,
  containers: readonly Container[],
  isPod: boolean,
): FieldError[] {
  return containers.flatMap((container, at) =>
    (container.ports ?? []).flatMap(({ hostPort = 0, containerPort }, portAt) =>
      hostPort === containerPort || (!isPod && hostPort === 0)
        ? []
        : [
            invalid(
              `${field}[${at}].ports[${portAt}].hostPort`,
              hostPort,
              'must match `containerPort` when `hostNetwork` is true',
            ),
          ],
    ),
  );
}

const DNS_POLICIES = ['ClusterFirstWithHostNet', 'ClusterFirst', 'Default', 'None'];

function checkDNS(field: string, spec: PodSpec): FieldError[] {
  const errors = checkOneOf(`${field}.dnsPolicy`, spec.dnsPolicy, DNS_POLICIES);
  const path = `${field}.dnsConfig`;
  const { nameservers = [], searches = [] } = spec.dnsConfig ?? {};
  if (spec.dnsPolicy === 'None') {
    if (spec.dnsConfig === undefined) {
      return [...errors, required(path, 'must provide `dnsConfig` when `dnsPolicy` is None')];
    }
    if (nameservers.length === 0) {
      const need = 'must provide at least one DNS nameserver when `dnsPolicy` is None';
      return [...errors, required(`${path}.nameservers`, need)];
    }
  }
  // What libc's resolver can take: 3 servers (MAXNS); search paths by upstream's own limit.
  if (nameservers.length > 3) {
    errors.push(invalid(`${path}.nameservers`, nameservers, 'must not have more than 3 nameservers'));
  }
  if (searches.length > 32) {
    errors.push(invalid(`${path}.searches`, searches, 'must not have more than 32 search paths'));
  }
  return [
    ...errors,
    ...nameservers.flatMap((address, at) => checkAddress(`${path}.nameservers[${at}]`, address)),
    ...searches.flatMap((search, at) =>
      checkFormat(`${path}.searches[${at}]`, search.replace(/\.$/, ''), dns1123Subdomain),
    ),
  ];
}

function checkGates(field: string, spec: PodSpec): FieldError[] {
  const seen = new Set<string>();
  return [
    ...(spec.readinessGates ?? []).flatMap(({ conditionType }, at) =>
      checkFormat(`${field}.readinessGates[${at}].conditionType`, conditionType, qualifiedName),
    ),
    ...(spec.schedulingGates ?? []).flatMap(({ name }, at) => {
      const path = `${field}.schedulingGates[${at}]`;
      const errors = checkFormat(path, name, qualifiedName);
      if (seen.has(name)) errors.push(duplicate(path, name));
      seen.add(name);
      return errors;
    }),
  ];
}

function checkNames(field: string, spec: PodSpec): FieldError[] {
  return [
    ...checkOptionalFormat(`${field}.serviceAccountName`, spec.serviceAccountName, dns1123Subdomain),
    ...checkOptionalFormat(`${field}.nodeName`, spec.nodeName, dns1123Subdomain),
    ...checkOptionalFormat(`${field}.hostname`, spec.hostname, dns1123Label),
    ...checkOptionalFormat(`${field}.subdomain`, spec.subdomain, dns1123Label),
    ...checkOptionalFormat(`${field}.priorityClassName`, spec.priorityClassName, dns1123Subdomain),
  ];
}

function checkTimes(field: string, spec: PodSpec): FieldError[] {
  const deadline = spec.activeDeadlineSeconds;
  return [
    ...(deadline === undefined || (deadline >= 1 && deadline <= MAX_INT32)
      ? []
      : [invalid(`${field}.activeDeadlineSeconds`, deadline, rangeMessage(1, MAX_INT32))]),
    ...checkNotNegative(`${field}.terminationGracePeriodSeconds`, spec.terminationGracePeriodSeconds),
  ];
}

/** Templates may hold such images, for compatibility; pods may not. */
function checkImageSpaces(spec: PodSpec): FieldError[] {
  const wrong = (field: string, containers: readonly Container[] = []): FieldError[] =>
    containers.flatMap(({ image = '' }, at) =>
      image === image.trim()
        ? []
        : [invalid(`${field}[${at}].image`, image, 'must not have leading or trailing whitespace')],
    );
  return [...wrong('spec.containers', spec.containers), ...wrong('spec.initContainers', spec.initContainers)];
}

const MUTABLE_FIELDS = [
  '`spec.containers[*].image`',
  '`spec.initContainers[*].image`',
  '`spec.activeDeadlineSeconds`',
  '`spec.tolerations` (only additions to existing tolerations)',
  '`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)',
].join(',');

/** A pod is what it was scheduled as: little of its spec may change. */
export function checkPodUpdate(pod: Pod, old: Pod): FieldError[] {
  const [now, before] = [pod.spec ?? ({} as PodSpec), old.spec ?? ({} as PodSpec)];
  const errors = [...checkPodSpec('spec', now, true), ...checkImageSpaces(now)];
  for (const key of ['containers', 'initContainers'] as const) {
    if ((now[key] ?? []).length !== (before[key] ?? []).length) {
      return [...errors, forbidden(`spec.${key}`, 'pod updates may not add or remove containers')];
    }
  }
  errors.push(...checkDeadlineUpdate(now.activeDeadlineSeconds, before.activeDeadlineSeconds));
  errors.push(...checkOnlyAddedTolerations('spec.tolerations', now.tolerations, before.tolerations));
  errors.push(...checkOnlyRemovedGates(now.schedulingGates, before.schedulingGates));
  if (!same(withoutMutable(now), withoutMutable(before))) {
    const changed = changedFields(withoutMutable(now), withoutMutable(before));
    errors.push(
      forbidden(
        'spec',
        `pod updates may not change fields other than ${MUTABLE_FIELDS}; changed: ${changed.join(', ')}`,
      ),
    );
  }
  return errors;
}

function checkDeadlineUpdate(now: number | undefined, before: number | undefined): FieldError[] {
  const field = 'spec.activeDeadlineSeconds';
  if (before === undefined || now === before) return [];
  if (now === undefined) {
    return [invalid(field, now, 'must not update from a positive integer to nil value')];
  }
  return now < before ? [] : [invalid(field, now, 'must be less than or equal to previous value')];
}

function checkOnlyRemovedGates(
  now: PodSpec['schedulingGates'] = [],
  before: PodSpec['schedulingGates'] = [],
): FieldError[] {
  const had = new Set(before.map(({ name }) => name));
  return now.flatMap(({ name }, at) =>
    had.has(name)
      ? []
      : [
          forbidden(
            `spec.schedulingGates[${at}].name`,
            `only deletion is allowed, but found new scheduling gate '${name}'`,
          ),
        ],
  );
}

/** The spec with what may change taken out; the deprecated copy of the account's name goes too. */
function withoutMutable(spec: PodSpec): Record<string, unknown> {
  const {
    activeDeadlineSeconds: _deadline,
    tolerations: _tolerations,
    schedulingGates: _gates,
    serviceAccount: _account,
    containers = [],
    initContainers = [],
    ...rest
  } = spec;
  return {
    ...rest,
    containers: containers.map(({ image: _image, ...container }) => container),
    initContainers: initContainers.map(({ image: _image, ...container }) => container),
  };
}

const changedFields = (now: Record<string, unknown>, old: Record<string, unknown>): string[] =>
  [...new Set([...Object.keys(now), ...Object.keys(old)])]
    .filter((key) => !same(now[key], old[key]))
    .map((key) => `\`spec.${key}\``);
