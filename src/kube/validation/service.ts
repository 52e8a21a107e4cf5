/**
 * Services (upstream: ValidateService and ValidateServiceUpdate). Allocation comes first: the API server fills in cluster
 * IPs and node ports, then validates what came out.
 */
import type { IPFamily } from '../defaults.ts';
import type { Service, ServicePort } from '../objects.ts';
import {
  checkAddress,
  checkFormat,
  checkNotSpecialAddress,
  checkOneOf,
  checkPort,
  checkPortNumber,
  checkPrefix,
  checkProtocol,
} from './checks.ts';
import { duplicate, type FieldError, forbidden, invalid, required } from './field-error.ts';
import { dns1123Label, dns1123Subdomain, portNumber, qualifiedName } from './formats.ts';
import { checkLabels } from './labels.ts';
import { checkClusterIPs, checkServiceFamilies } from './service-addresses.ts';

type Spec = NonNullable<Service['spec']>;

/** One day: longer affinity is refused (MaxClientIPServiceAffinitySeconds). */
const MAX_AFFINITY_SECONDS = 86_400;
const SOURCE_RANGES_ANNOTATION = 'service.beta.kubernetes.io/load-balancer-source-ranges';
const ONLY_LOAD_BALANCER = "may only be used when `type` is 'LoadBalancer'";

export const isHeadless = (spec: Spec): boolean =>
  spec.clusterIPs?.length === 1 && spec.clusterIPs[0] === 'None';

/** Its address or port is reachable from outside the cluster, so externalTrafficPolicy says something. */
const isExternallyAccessible = (spec: Spec): boolean =>
  spec.type === 'LoadBalancer' ||
  spec.type === 'NodePort' ||
  (spec.type === 'ClusterIP' && (spec.externalIPs ?? []).length > 0);

export const needsHealthCheck = (spec: Spec): boolean =>
  spec.type === 'LoadBalancer' && spec.externalTrafficPolicy === 'Local';

/** Everything about a Service but its metadata. `families` are those of the service ranges, if known. */
export function checkService(service: Service, families?: readonly IPFamily[]): FieldError[] {
  const spec = service.spec ?? {};
  const ports = spec.ports ?? [];
  const errors: FieldError[] = [];
  if (ports.length === 0 && !isHeadless(spec) && spec.type !== 'ExternalName') {
    errors.push(required('spec.ports'));
  }
  return [
    ...errors,
    ...checkTypeRules(spec),
    ...checkPortList(ports),
    ...checkLabels('spec.selector', spec.selector),
    ...checkAffinity(spec),
    ...checkClusterIPs(spec),
    ...checkServiceFamilies(spec, families),
    ...(spec.externalIPs ?? []).flatMap((address, at) => checkExternalIP(`spec.externalIPs[${at}]`, address)),
    ...checkOneOf('spec.type', spec.type, ['ClusterIP', 'ExternalName', 'LoadBalancer', 'NodePort']),
    ...checkNodePorts(spec),
    ...checkSamePorts(ports),
    ...checkSourceRanges(service),
    ...checkLoadBalancerFields(spec),
    ...checkTrafficPolicies(spec),
  ];
}

function checkTypeRules(spec: Spec): FieldError[] {
  if ((spec.type === 'LoadBalancer' || spec.type === 'NodePort') && isHeadless(spec)) {
    return [invalid('spec.clusterIPs[0]', 'None', `may not be set to 'None' for ${spec.type} services`)];
  }
  if (spec.type !== 'ExternalName') return [];
  const errors: FieldError[] = [];
  for (const key of ['clusterIPs', 'ipFamilies', 'ipFamilyPolicy'] as const) {
    if ((spec[key] ?? []).length > 0) {
      errors.push(forbidden(`spec.${key}`, 'may not be set for ExternalName services'));
    }
  }
  // A trailing dot says that the name is fully qualified.
  const target = (spec.externalName ?? '').replace(/\.$/, '');
  return [
    ...errors,
    ...(target === ''
      ? [required('spec.externalName')]
      : checkFormat('spec.externalName', target, dns1123Subdomain)),
  ];
}

function checkPortList(ports: readonly ServicePort[]): FieldError[] {
  const names = new Set<string>();
  return ports.flatMap((port, at) => {
    const field = `spec.ports[${at}]`;
    const name = port.name ?? '';
    const errors: FieldError[] = [];
    if (name === '') {
      if (ports.length > 1) errors.push(required(`${field}.name`));
    } else {
      errors.push(...checkFormat(`${field}.name`, name, dns1123Label));
      if (names.has(name)) errors.push(duplicate(`${field}.name`, name));
      names.add(name);
    }
    return [
      ...errors,
      ...checkPortNumber(`${field}.port`, port.port ?? 0),
      ...checkProtocol(`${field}.protocol`, port.protocol),
      ...checkPort(`${field}.targetPort`, port.targetPort ?? 0),
      ...(port.appProtocol === undefined
        ? []
        : checkFormat(`${field}.appProtocol`, port.appProtocol, qualifiedName)),
    ];
  });
}

function checkAffinity(spec: Spec): FieldError[] {
  const errors = checkOneOf('spec.sessionAffinity', spec.sessionAffinity, ['ClientIP', 'None']);
  const field = 'spec.sessionAffinityConfig';
  if (spec.sessionAffinity === 'None') {
    return spec.sessionAffinityConfig === undefined
      ? errors
      : [...errors, forbidden(field, 'must not be set when session affinity is None')];
  }
  if (spec.sessionAffinity !== 'ClientIP') return errors;
  const when = 'when session affinity type is ClientIP';
  const config = spec.sessionAffinityConfig;
  if (config === undefined) return [...errors, required(field, when)];
  if (config.clientIP === undefined) return [...errors, required(`${field}.clientIP`, when)];
  const seconds = config.clientIP.timeoutSeconds;
  if (seconds === undefined) return [...errors, required(`${field}.clientIP.timeoutSeconds`, when)];
  if (seconds > 0 && seconds <= MAX_AFFINITY_SECONDS) return errors;
  const range = `must be greater than 0 and less than ${MAX_AFFINITY_SECONDS}`;
  return [...errors, invalid(`${field}.clientIP.timeoutSeconds`, seconds, range)];
}

function checkExternalIP(field: string, address: string): FieldError[] {
  const errors = checkAddress(field, address);
  return errors.length > 0 ? errors : checkNotSpecialAddress(field, address);
}

function checkNodePorts(spec: Spec): FieldError[] {
  const ports = spec.ports ?? [];
  const errors: FieldError[] = [];
  const seen = new Set<string>();
  for (const [at, { nodePort = 0 }] of ports.entries()) {
    if (spec.type === 'ClusterIP' && nodePort !== 0) {
      errors.push(forbidden(`spec.ports[${at}].nodePort`, "may not be used when `type` is 'ClusterIP'"));
    }
  }
  for (const [at, { nodePort = 0, protocol }] of ports.entries()) {
    if (nodePort === 0) continue;
    const key = `${protocol}/${nodePort}`;
    if (seen.has(key)) errors.push(duplicate(`spec.ports[${at}].nodePort`, nodePort));
    seen.add(key);
  }
  return errors;
}

function checkSamePorts(ports: readonly ServicePort[]): FieldError[] {
  const seen = new Set<string>();
  return ports.flatMap(({ port, protocol }, at) => {
    const key = `${protocol}/${port}`;
    if (seen.has(key)) return [duplicate(`spec.ports[${at}]`, { protocol, port })];
    seen.add(key);
    return [];
  });
}

function checkSourceRanges(service: Service): FieldError[] {
  const ranges = service.spec?.loadBalancerSourceRanges ?? [];
  const annotation = service.metadata?.annotations?.[SOURCE_RANGES_ANNOTATION];
  if (ranges.length === 0 && annotation === undefined) return [];
  // Upstream's messages capitalise this one field.
  const field =
    ranges.length > 0 ? 'spec.LoadBalancerSourceRanges' : `metadata.annotations[${SOURCE_RANGES_ANNOTATION}]`;
  const errors = service.spec?.type === 'LoadBalancer' ? [] : [forbidden(field, ONLY_LOAD_BALANCER)];
  if (ranges.length > 0) {
    errors.push(...ranges.flatMap((range, at) => checkPrefix(`${field}[${at}]`, range.trim())));
  } else {
    const listed = (annotation ?? '').split(',').map((range) => range.trim());
    const isBlank = listed.length === 1 && listed[0] === '';
    errors.push(...(isBlank ? [] : listed.flatMap((range) => checkPrefix(field, range))));
  }
  return errors;
}

function checkLoadBalancerFields(spec: Spec): FieldError[] {
  const errors: FieldError[] = [];
  const balanced = spec.type === 'LoadBalancer';
  if (spec.allocateLoadBalancerNodePorts !== undefined && !balanced) {
    errors.push(forbidden('spec.allocateLoadBalancerNodePorts', ONLY_LOAD_BALANCER));
  }
  if (spec.loadBalancerClass !== undefined) {
    const field = 'spec.loadBalancerClass';
    if (balanced) errors.push(...checkFormat(field, spec.loadBalancerClass, qualifiedName));
    else errors.push(forbidden(field, ONLY_LOAD_BALANCER));
  }
  return errors;
}

const POLICIES = ['Cluster', 'Local'];
/** PreferClose is the older name of PreferSameZone (KEP-3015). */
const TRAFFIC_DISTRIBUTIONS = ['PreferClose', 'PreferSameNode', 'PreferSameZone'];

function checkTrafficPolicies(spec: Spec): FieldError[] {
  const { externalTrafficPolicy: external = '', internalTrafficPolicy: internal = '' } = spec;
  const errors: FieldError[] = [];
  const field = 'spec.externalTrafficPolicy';
  if (isExternallyAccessible(spec)) errors.push(...checkOneOf(field, external, POLICIES));
  else if (external !== '') {
    errors.push(invalid(field, external, 'may only be set for externally-accessible services'));
  }
  errors.push(...checkHealthCheckNodePort(spec));
  if (spec.type !== 'ExternalName' || internal !== '') {
    errors.push(...checkOneOf('spec.internalTrafficPolicy', internal, POLICIES));
  }
  const distribution = spec.trafficDistribution;
  if (distribution !== undefined) {
    errors.push(...checkOneOf('spec.trafficDistribution', distribution, TRAFFIC_DISTRIBUTIONS));
  }
  return errors;
}

/** That it is there when it is needed is not asked: the API server allocates it. */
function checkHealthCheckNodePort(spec: Spec): FieldError[] {
  const { healthCheckNodePort: port = 0 } = spec;
  if (port === 0) return [];
  const field = 'spec.healthCheckNodePort';
  return needsHealthCheck(spec)
    ? portNumber(port).map((message) => invalid(field, port, message))
    : [
        invalid(
          field,
          port,
          "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'",
        ),
      ];
}

/** What may not change, and what may only change together with the type. */
export function checkServiceUpdate(service: Service, old: Service): FieldError[] {
  const [now, before] = [service.spec ?? {}, old.spec ?? {}];
  const errors: FieldError[] = [];
  if (now.type === 'LoadBalancer' && before.type === 'LoadBalancer') {
    if (now.loadBalancerClass !== before.loadBalancerClass) {
      errors.push(invalid('spec.loadBalancerClass', now.loadBalancerClass, 'may not change once set'));
    }
  }
  if (needsHealthCheck(now) && needsHealthCheck(before)) {
    if (now.healthCheckNodePort !== before.healthCheckNodePort) {
      errors.push(forbidden('spec.healthCheckNodePort', 'field is immutable'));
    }
  }
  return errors;
}

/** status.loadBalancer, which a LoadBalancer controller writes. */
export function checkServiceStatus(service: Service): FieldError[] {
  const ingress = service.status?.loadBalancer?.ingress ?? [];
  const field = 'status.loadBalancer.ingress';
  if (service.spec?.type !== 'LoadBalancer') {
    return ingress.length === 0
      ? []
      : [forbidden(field, "may only be used when `spec.type` is 'LoadBalancer'")];
  }
  return ingress.flatMap((one, at) => checkIngress(`${field}[${at}]`, one));
}

interface Ingress {
  readonly ip?: string;
  readonly hostname?: string;
  readonly ipMode?: string;
}

function checkIngress(field: string, { ip = '', hostname = '', ipMode }: Ingress): FieldError[] {
  const errors = ip === '' ? [] : checkAddress(`${field}.ip`, ip);
  if (ip !== '' && ipMode === undefined) {
    errors.push(required(`${field}.ipMode`, 'must be specified when `ip` is set'));
  } else if (ip === '' && ipMode !== undefined) {
    errors.push(forbidden(`${field}.ipMode`, 'may not be specified when `ip` is not set'));
  } else if (ipMode !== undefined) {
    errors.push(...checkOneOf(`${field}.ipMode`, ipMode, ['Proxy', 'VIP']));
  }
  if (hostname === '') return errors;
  errors.push(...checkFormat(`${field}.hostname`, hostname, dns1123Subdomain));
  if (checkAddress('', hostname).length === 0) {
    errors.push(invalid(`${field}.hostname`, hostname, 'must be a DNS name, not an IP address'));
  }
  return errors;
}
