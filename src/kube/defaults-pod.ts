import type { Container, Pod, PodSpec, Probe } from './objects.ts';
import type { Writable } from './writable.ts';

type Spec = Writable<PodSpec>;
type Containers = Writable<Container>[];
type Tolerations = NonNullable<Spec['tolerations']>;

/** 0644, as volumes of configuration are written. */
const FILE_MODE = 0o644;
const HOUR_SECONDS = 3600;
/** How long a pod stays on a node that stopped answering (admission plugin DefaultTolerationSeconds). */
const NODE_LOSS_SECONDS = 300;

/** A pod: what a template gets, and what only pods get. */
export function defaultPod(pod: Writable<Pod>): void {
  pod.spec ??= { containers: [] };
  pod.status ??= {};
  pod.status.phase ??= 'Pending';
  const { spec } = pod;
  defaultPodSpec(spec);
  spec.enableServiceLinks ??= true;
  for (const containers of [spec.containers ?? [], spec.initContainers ?? []]) {
    defaultRequests(containers);
    if (spec.hostNetwork === true) defaultHostPorts(containers);
  }
  admit(spec);
}

/** What the admission plugins that are always on add to a pod: an account, and patience with nodes. */
function admit(spec: Spec): void {
  spec.serviceAccountName ||= spec.serviceAccount || 'default';
  // The deprecated name of the same field; upstream keeps both alike.
  spec.serviceAccount = spec.serviceAccountName;
  spec.priority ??= 0;
  spec.preemptionPolicy ??= 'PreemptLowerPriority';
  spec.tolerations ??= [];
  addToleration(spec.tolerations, 'node.kubernetes.io/not-ready');
  addToleration(spec.tolerations, 'node.kubernetes.io/unreachable');
}

function addToleration(tolerations: Tolerations, key: string): void {
  const tolerated = tolerations.some(
    (one) => (one.key === key || !one.key) && (one.effect === 'NoExecute' || !one.effect),
  );
  if (tolerated) return;
  tolerations.push({ key, operator: 'Exists', effect: 'NoExecute', tolerationSeconds: NODE_LOSS_SECONDS });
}

/** The spec of a pod or of a template. */
export function defaultPodSpec(spec: Spec): void {
  spec.dnsPolicy ||= 'ClusterFirst';
  spec.restartPolicy ||= 'Always';
  spec.securityContext ??= {};
  spec.terminationGracePeriodSeconds ??= 30;
  spec.schedulerName ||= 'default-scheduler';
  for (const container of [...(spec.containers ?? []), ...(spec.initContainers ?? [])]) {
    defaultContainer(container);
  }
  for (const container of spec.ephemeralContainers ?? []) defaultContainer(container);
  for (const volume of spec.volumes ?? []) defaultVolume(volume);
}

function defaultContainer(container: Writable<Container>): void {
  container.imagePullPolicy ||= tagOf(container.image ?? '') === 'latest' ? 'Always' : 'IfNotPresent';
  container.terminationMessagePath ||= '/dev/termination-log';
  container.terminationMessagePolicy ||= 'File';
  container.resources ??= {};
  for (const port of container.ports ?? []) port.protocol ||= 'TCP';
  for (const { valueFrom } of container.env ?? []) {
    if (valueFrom?.fieldRef !== undefined) valueFrom.fieldRef.apiVersion ||= 'v1';
  }
  for (const probe of [container.livenessProbe, container.readinessProbe, container.startupProbe]) {
    if (probe !== undefined) defaultProbe(probe);
  }
  for (const hook of [container.lifecycle?.postStart, container.lifecycle?.preStop]) {
    if (hook?.httpGet !== undefined) defaultHTTPGet(hook.httpGet);
  }
}

/** The tag of an image reference; none and no digest means `latest`. A colon before a slash is a registry's port. */
function tagOf(image: string): string {
  const [name = '', digest] = image.split('@');
  const tag = /:([^/:]+)$/.exec(name)?.[1];
  return tag ?? (digest === undefined ? 'latest' : '');
}

function defaultProbe(probe: Writable<Probe>): void {
  probe.timeoutSeconds ||= 1;
  probe.periodSeconds ||= 10;
  probe.successThreshold ||= 1;
  probe.failureThreshold ||= 3;
  if (probe.httpGet !== undefined) defaultHTTPGet(probe.httpGet);
  if (probe.grpc !== undefined) probe.grpc.service ??= '';
}

function defaultHTTPGet(action: { path?: string; scheme?: string }): void {
  action.path ||= '/';
  action.scheme ||= 'HTTP';
}

/** A limit alone is a request too. */
function defaultRequests(containers: Containers): void {
  for (const { resources } of containers) {
    if (resources?.limits === undefined) continue;
    resources.requests = { ...resources.limits, ...resources.requests };
  }
}

/** On the node's network a container port is the node's port. */
function defaultHostPorts(containers: Containers): void {
  for (const port of containers.flatMap(({ ports = [] }) => ports)) port.hostPort ||= port.containerPort;
}

function defaultVolume(volume: NonNullable<Spec['volumes']>[number]): void {
  const { name: _, ...sources } = volume;
  if (Object.values(sources).every((source) => source === undefined)) volume.emptyDir = {};
  if (volume.hostPath !== undefined) volume.hostPath.type ??= '';
  for (const source of [volume.configMap, volume.secret, volume.downwardAPI, volume.projected]) {
    if (source !== undefined) source.defaultMode ??= FILE_MODE;
  }
  for (const { serviceAccountToken } of volume.projected?.sources ?? []) {
    if (serviceAccountToken !== undefined) serviceAccountToken.expirationSeconds ??= HOUR_SECONDS;
  }
}
