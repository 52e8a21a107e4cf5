import { existsSync, readFileSync } from 'node:fs';
import { arch, availableParallelism, hostname, release, totalmem } from 'node:os';
import type { NodeCondition, NodeStatus } from 'kubernetes-types/core/v1.js';
import { ApiError } from '../client/client.ts';
import { type Clock, microTimeOf, sleep, timeOf } from '../client/clock.ts';
import { errorFields } from '../fault/log.ts';
import { Prefix } from '../ip/ip.ts';
import type { Lease, Node } from '../kube/objects.ts';
import { RESOURCES } from '../kube/resources.ts';
import type { KubeletOptions } from './options.ts';

/** The Kubernetes release whose behaviour this agent follows, as VERSION of `kubectl get nodes`. */
const KUBELET_VERSION = 'v1.33.0-fairlead';
const LEASE_NAMESPACE = 'kube-node-lease';
/** Upstream's: a lease of 40 s renewed every 10 s, the status every 5 min or when it changes. */
const LEASE_SECONDS = 40;
const RENEW_EVERY_MS = 10_000;
const STATUS_EVERY_MS = 300_000;
const RETRY_MS = 500;
const MAX_PODS = '110';

type Registration = KubeletOptions & { readonly clock: Clock; readonly runtimeVersion: string };

/** Registers the node, and gives its pod CIDR as soon as it has one. Tries until the signal aborts. */
export async function registerNode(options: Registration): Promise<Prefix | undefined> {
  const { clock, log, signal } = options;
  while (!signal.aborted) {
    try {
      const node = await ensureNode(options);
      const cidr = node.spec?.podCIDR ?? options.podCidr?.text;
      await writeStatus(options, cidr !== undefined);
      if (cidr !== undefined) return Prefix.parse(cidr);
      log.info('waits for a pod CIDR', { node: options.nodeName });
    } catch (error) {
      log.warn('cannot register the node yet', { node: options.nodeName, ...errorFields(error) });
    }
    await sleep(clock, RETRY_MS, signal);
  }
  return undefined;
}

/** Renews the lease and the status until the signal aborts. What fails is tried again at the next turn. */
export async function keepNode(options: Registration): Promise<void> {
  const { clock, log, signal } = options;
  let statusAt = clock.now();
  while (!signal.aborted) {
    try {
      await renewLease(options);
      if (clock.now() - statusAt >= STATUS_EVERY_MS) {
        await writeStatus(options, true);
        statusAt = clock.now();
      }
    } catch (error) {
      log.warn('cannot renew the node', { node: options.nodeName, ...errorFields(error) });
      // Somebody deleted the Node: this machine is still there.
      if (ApiError.is(error, 'NotFound')) await registerNode(options);
    }
    await sleep(clock, RENEW_EVERY_MS, signal);
  }
}

async function ensureNode(options: Registration): Promise<Node> {
  const { client, nodeName, podCidr } = options;
  const labels = labelsOf(options);
  try {
    const known = await client.get<Node>(RESOURCES.nodes, nodeName);
    await client.patch<Node>(RESOURCES.nodes, { name: nodeName }, 'merge', { metadata: { labels } });
    return known;
  } catch (error) {
    if (!ApiError.is(error, 'NotFound')) throw error;
  }
  return client.create<Node>(RESOURCES.nodes, {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name: nodeName, labels },
    spec: podCidr === undefined ? {} : { podCIDR: podCidr.text, podCIDRs: [podCidr.text] },
  });
}

function labelsOf(options: Registration): Record<string, string> {
  return {
    'beta.kubernetes.io/arch': goArch(),
    'beta.kubernetes.io/os': 'linux',
    'kubernetes.io/arch': goArch(),
    'kubernetes.io/hostname': options.nodeName,
    'kubernetes.io/os': 'linux',
    'node.kubernetes.io/instance-type': 'fairlead',
    ...options.labels,
  };
}

async function writeStatus(options: Registration, isReady: boolean): Promise<void> {
  const { client, clock, nodeIP, externalIP, nodeName } = options;
  const before = await client.get<Node>(RESOURCES.nodes, nodeName);
  const capacity = {
    cpu: String(availableParallelism()),
    memory: `${Math.floor(totalmem() / 1024)}Ki`,
    pods: MAX_PODS,
  };
  const status: NodeStatus = {
    addresses: [
      { type: 'InternalIP', address: nodeIP.text },
      ...(externalIP === undefined ? [] : [{ type: 'ExternalIP', address: externalIP.text }]),
      { type: 'Hostname', address: nodeName },
    ],
    capacity,
    allocatable: capacity,
    conditions: conditionsOf(before, isReady, timeOf(clock.now())),
    nodeInfo: nodeInfo(options.runtimeVersion),
  };
  await client.patch<Node>(RESOURCES.nodes, { name: nodeName }, 'strategic', { status }, 'status');
}

function conditionsOf(before: Node, isReady: boolean, now: string): NodeCondition[] {
  const condition = (type: string, status: string, reason: string, message: string): NodeCondition => {
    const known = before.status?.conditions?.find((one) => one.type === type);
    const since = known?.status === status ? (known.lastTransitionTime ?? now) : now;
    return { type, status, reason, message, lastHeartbeatTime: now, lastTransitionTime: since };
  };
  return [
    condition(
      'MemoryPressure',
      'False',
      'KubeletHasSufficientMemory',
      'kubelet has sufficient memory available',
    ),
    condition('DiskPressure', 'False', 'KubeletHasNoDiskPressure', 'kubelet has no disk pressure'),
    condition('PIDPressure', 'False', 'KubeletHasSufficientPID', 'kubelet has sufficient PID available'),
    isReady
      ? condition('Ready', 'True', 'KubeletReady', 'kubelet is posting ready status')
      : condition('Ready', 'False', 'KubeletNotReady', 'the node has no pod CIDR yet'),
  ];
}

function nodeInfo(runtimeVersion: string): NonNullable<NodeStatus['nodeInfo']> {
  const read = (file: string) => (existsSync(file) ? readFileSync(file, 'utf8').trim() : '');
  const osRelease = read('/etc/os-release');
  return {
    architecture: goArch(),
    bootID: read('/proc/sys/kernel/random/boot_id'),
    containerRuntimeVersion: runtimeVersion,
    kernelVersion: release(),
    kubeProxyVersion: KUBELET_VERSION,
    kubeletVersion: KUBELET_VERSION,
    machineID: read('/etc/machine-id') || hostname(),
    operatingSystem: 'linux',
    osImage: /^PRETTY_NAME="?([^"\n]*)/m.exec(osRelease)?.[1] ?? 'Linux',
    systemUUID: read('/etc/machine-id'),
  };
}

/** Kubernetes names architectures as Go does. */
function goArch(): string {
  const names: Readonly<Record<string, string>> = { x64: 'amd64', ia32: '386', ppc64: 'ppc64le' };
  return names[arch()] ?? arch();
}

async function renewLease(options: Registration): Promise<void> {
  const { client, clock, nodeName } = options;
  const key = { name: nodeName, namespace: LEASE_NAMESPACE };
  const spec = {
    holderIdentity: nodeName,
    leaseDurationSeconds: LEASE_SECONDS,
    renewTime: microTimeOf(clock.now()),
  };
  try {
    await client.patch<Lease>(RESOURCES.leases, key, 'merge', { spec });
  } catch (error) {
    if (!ApiError.is(error, 'NotFound')) throw error;
    const metadata = { name: nodeName, namespace: LEASE_NAMESPACE };
    const lease: Lease = { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', metadata, spec };
    await client.create<Lease>(RESOURCES.leases, lease, LEASE_NAMESPACE);
  }
}
