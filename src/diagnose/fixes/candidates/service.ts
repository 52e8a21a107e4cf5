import { Prefix } from '../../../ip/ip.ts';
import type { Pod } from '../../../kube/objects.ts';
import type { Cluster, KnownPod } from '../../../world/from-objects/from-objects.ts';
import { isAtLeast, rangesOf } from '../../../world/profile.ts';
import { addressOf, hostOf } from '../../../world/world.ts';
import type { Situation } from '../../recognise/situation.ts';
import type { Attempt, Candidate, JsonObject, ObjectPatch } from '../fix.ts';

const PASS_THROUGH = 'kubernetes.io/elb.pass-through';
const HOSTNAME = 'service.beta.kubernetes.io/alibaba-cloud-loadbalancer-hostname';
const BACKEND_TYPE = 'service.beta.kubernetes.io/backend-type';
const DIRECT = 'service.cloud.tencent.com/direct-access';
const LEAVES = 'clients inside leave for the balancer, which may send them back to their own node';

const patchOf = (name: string, merge: JsonObject): ObjectPatch => ({ object: `service/${name}`, merge });

export const policyCluster: Candidate = function* ({ dialled }) {
  const spec = dialled?.service.spec;
  if (dialled === undefined) return;
  if (dialled.by === 'clusterIP' && spec?.internalTrafficPolicy === 'Local') {
    yield {
      title: 'set internalTrafficPolicy: Cluster',
      patch: { objects: [patchOf(dialled.name, { spec: { internalTrafficPolicy: 'Cluster' } })] },
      costs: ['connections may cross nodes'],
    };
  }
  if (dialled.by !== 'clusterIP' && spec?.externalTrafficPolicy === 'Local') {
    yield {
      title: 'set externalTrafficPolicy: Cluster',
      patch: { objects: [patchOf(dialled.name, { spec: { externalTrafficPolicy: 'Cluster' } })] },
      costs: [
        "pods no longer see the addresses of clients outside, but a node's",
        'there may be one hop more',
      ],
    };
  }
};

/** The Services whose balancer has the address that was dialled. */
const atAddress = (situation: Situation): string[] =>
  situation.servicesAt(situation.request.to).map(([name]) => name);

const annotated = (names: readonly string[], key: string, value: string): ObjectPatch[] =>
  names.map((name) => patchOf(name, { metadata: { annotations: { [key]: value } } }));

/** Keeps kube-proxy's hands off the balancer's address, by the means of each cloud. */
export const notCaptured: Candidate = function* (situation) {
  const names = atAddress(situation);
  if (names.length === 0) return;
  const { cloud, kubernetesVersion } = situation.cluster.profile;
  const all = names.length === 1 ? '' : ' on every Service of the balancer';
  if (cloud === 'cce') {
    yield {
      title: `pass the balancer's address through: ${PASS_THROUGH}: "true"${all}`,
      patch: { objects: annotated(names, PASS_THROUGH, 'true') },
      costs: [LEAVES],
    };
  }
  if (cloud === 'ack') {
    yield {
      title: `write a name and no address into the status: …-hostname${all}`,
      patch: { objects: annotated(names, HOSTNAME, 'NAME.example.com') },
      costs: [LEAVES, 'needs CCM 2.3.0 and a name that resolves to the balancer'],
    };
  }
  if (cloud === 'generic' && isAtLeast(kubernetesVersion, 1, 30)) yield ipModeProxy(situation, names);
};

function ipModeProxy({ cluster }: Situation, names: readonly string[]): Attempt {
  const objects = names.map((name) => {
    const ingress = cluster.services.get(name)?.status?.loadBalancer?.ingress ?? [];
    const proxied = ingress.map(({ ip }) => ({ ...(ip === undefined ? {} : { ip }), ipMode: 'Proxy' }));
    return patchOf(name, { status: { loadBalancer: { ingress: proxied } } });
  });
  return {
    title: "ipMode: Proxy in the status, which keeps kube-proxy from capturing the balancer's address",
    patch: { objects },
    costs: [LEAVES, "the balancer's controller has to write it"],
  };
}

/** The balancer sends to pods, so that no node port is passed. */
export const directPods: Candidate = function* ({ cluster, dialled }) {
  const { cloud, network } = cluster.profile;
  if (dialled?.by !== 'loadBalancer' || network !== 'eni') return;
  const key = cloud === 'tke' ? DIRECT : cloud === 'ack' ? BACKEND_TYPE : undefined;
  if (key === undefined) return;
  const value = cloud === 'tke' ? 'true' : 'eni';
  yield {
    title: `let the balancer send to pods: ${key}: "${value}"`,
    patch: { objects: annotated([dialled.name], key, value) },
    costs: ['pods have to pass the health check of the balancer before they serve'],
  };
};

/** A balancer of its own for the Service that captures the shared one. */
export const ownBalancer: Candidate = function* (situation) {
  const { cluster, dialled } = situation;
  const names = atAddress(situation);
  const shared = dialled === undefined || names.length > 1;
  if (names.length === 0 || !shared) return;
  const leaving = names.filter((name) => name !== dialled?.name);
  const taken = new Set([...cluster.cloudAddresses.values()].flat().map(({ text }) => text));
  const objects = leaving.map((name) => {
    const keys = Object.entries(cluster.services.get(name)?.metadata?.annotations ?? {}).filter(
      ([, value]) => value === cluster.balancerOf.get(name),
    );
    const annotations = Object.fromEntries(
      keys.map(([key, value]) => [key, `${value}-${name.split('/')[1]}`]),
    );
    return patchOf(name, {
      metadata: { annotations },
      status: { loadBalancer: { ingress: [{ ip: spareAddress(situation, taken) }] } },
    });
  });
  yield {
    title: `give ${leaving.map((name) => `svc/${name}`).join(', ')} a balancer of its own`,
    patch: { objects },
    costs: ['one balancer more to pay', 'its address changes for those who dial it'],
  };
};

/** An address of the VPC that nothing has. */
function spareAddress({ cluster }: Situation, taken: Set<string>): string {
  const inUse = new Set(
    [...cluster.world.hosts.values()].flatMap(({ interfaces }) =>
      interfaces.flatMap(({ addresses }) => addresses.map(({ addr }) => addr.text)),
    ),
  );
  // Of the primary family: what is dialled may change with the balancer.
  let addr = cluster.profile.vpcCIDR.last.plus(-1000);
  while (taken.has(addr.text) || inUse.has(addr.text)) addr = addr.plus(-1);
  taken.add(addr.text);
  return addr.text;
}

/** The client's kind: all pods, all machines of the VPC, or the one client outside. */
export const wideRanges: Candidate = function* ({ cluster, dialled, client, request }) {
  const ranges = dialled?.service.spec?.loadBalancerSourceRanges ?? [];
  if (dialled?.by !== 'loadBalancer' || ranges.length === 0 || client === undefined) return;
  const { family } = request.to;
  const { podCIDR, vpcCIDR } =
    rangesOf(cluster.profile).find((ranges) => ranges.vpcCIDR.family === family) ?? cluster.profile;
  const isOutside = client.role === 'client';
  const more = isOutside ? Prefix.host(addressOf(client, family)) : client.role === 'pod' ? podCIDR : vpcCIDR;
  yield {
    title: `admit ${more} in loadBalancerSourceRanges`,
    patch: {
      objects: [patchOf(dialled.name, { spec: { loadBalancerSourceRanges: [...ranges, more.text] } })],
    },
    costs: [`everything in ${more} may then dial it`],
  };
};

/** The port by which the pod that was reached can be: where it listens, if its sockets were read, or what it declares. */
export const servedPort: Candidate = function* ({ cluster, dialled, outcome }) {
  const pod = outcome.endpoint === undefined ? undefined : cluster.pods.get(outcome.endpoint.host);
  if (dialled === undefined || pod === undefined || outcome.reason !== 'noListener') return;
  const { protocol = 'TCP' } = dialled.port;
  const why = pod.hasSockets === true ? 'on which the pod listens' : 'which the pod declares';
  const ports = dialled.service.spec?.ports ?? [];
  for (const served of servedPorts(cluster, pod, protocol)) {
    const corrected = ports.map((one) => ({
      ...one,
      ...(one.port === dialled.port.port && (one.protocol ?? 'TCP') === protocol
        ? { targetPort: served }
        : {}),
    }));
    yield {
      title: `set targetPort: ${served}, ${why}`,
      patch: { objects: [patchOf(dialled.name, { spec: { ports: corrected } as unknown as JsonObject })] },
      costs: [],
    };
  }
};

function servedPorts({ world }: Cluster, { pod, host, hasSockets }: KnownPod, protocol: string): number[] {
  const all =
    hasSockets === true
      ? hostOf(world, host).listeners.map((one) => ({ protocol: one.protocol, port: one.port }))
      : (pod.spec?.containers ?? [])
          .flatMap(({ ports = [] }) => ports)
          .map((one) => ({ protocol: one.protocol ?? 'TCP', port: one.containerPort }));
  return [...new Set(all.filter((one) => one.protocol === protocol).map(({ port }) => Number(port)))];
}

/** The labels of pods of the namespace that declare the port and have the selector's keys, with other values. */
export const nearestSelector: Candidate = function* ({ cluster, dialled }) {
  const selector = dialled?.service.spec?.selector ?? {};
  const keys = Object.keys(selector);
  if (dialled === undefined || keys.length === 0) return;
  const [namespace] = dialled.name.split('/');
  const wanted = dialled.port.targetPort ?? dialled.port.port;
  const declares = (pod: Pod) =>
    (pod.spec?.containers ?? []).some(({ ports = [] }) =>
      ports.some(({ name, containerPort }) => name === wanted || containerPort === wanted),
    );
  const near = [...cluster.pods.values()]
    .filter(({ pod }) => declares(pod))
    .map(({ pod }) => pod.metadata)
    .filter((metadata) => metadata?.namespace === namespace)
    .map((metadata) => keys.map((key) => metadata?.labels?.[key]))
    .filter((values) => values.every((value) => value !== undefined));
  const found = new Map(near.map((values) => [JSON.stringify(values), values]));
  if (near.length === 0 || keys.every((key, at) => near.some((values) => values[at] === selector[key])))
    return;
  for (const values of found.values()) {
    const corrected = Object.fromEntries(keys.map((key, at) => [key, values[at] ?? '']));
    const labels = Object.entries(corrected).map(([key, value]) => `${key}=${value}`);
    yield {
      title: `select ${labels.join(',')}, which pods of ${namespace} bear`,
      patch: { objects: [patchOf(dialled.name, { spec: { selector: corrected } })] },
      costs: ['be sure that these are the pods you mean'],
    };
  }
};
