import { ApiError, type KubeClient } from '../client/client.ts';
import type { Addr } from '../ip/ip.ts';
import type { Deployment, KubeObject, Service, ServiceAccount } from '../kube/objects.ts';
import { RESOURCES, type Resource } from '../kube/resources.ts';

const NAMESPACE = 'kube-system';
const LABELS = { 'k8s-app': 'kube-dns' };

/** What a cluster needs beside its daemons: the DNS, as a Deployment behind the Service kube-dns at a fixed address. */
export function dnsObjects(
  address: Addr,
  clusterDomain: string,
): readonly (readonly [Resource, KubeObject])[] {
  const account: ServiceAccount = { metadata: { name: 'fairlead-dns', namespace: NAMESPACE } };
  return [
    [RESOURCES.serviceaccounts, account],
    [RESOURCES.services, dnsService(address)],
    [RESOURCES.deployments, dnsDeployment(clusterDomain)],
  ];
}

function dnsService(address: Addr): Service {
  return {
    metadata: {
      name: 'kube-dns',
      namespace: NAMESPACE,
      labels: { ...LABELS, 'kubernetes.io/name': 'CoreDNS', 'kubernetes.io/cluster-service': 'true' },
    },
    spec: {
      selector: LABELS,
      clusterIP: address.text,
      ports: [
        { name: 'dns', port: 53, protocol: 'UDP', targetPort: 53 },
        { name: 'dns-tcp', port: 53, protocol: 'TCP', targetPort: 53 },
        { name: 'metrics', port: 9153, protocol: 'TCP', targetPort: 9153 },
      ],
    },
  };
}

function dnsDeployment(clusterDomain: string): Deployment {
  return {
    metadata: { name: 'fairlead-dns', namespace: NAMESPACE, labels: LABELS },
    spec: {
      replicas: 1,
      selector: { matchLabels: LABELS },
      // The one that serves goes only when the next one does.
      strategy: { type: 'RollingUpdate', rollingUpdate: { maxUnavailable: 0, maxSurge: 1 } },
      template: {
        metadata: { labels: LABELS },
        spec: {
          serviceAccountName: 'fairlead-dns',
          // It cannot ask itself.
          dnsPolicy: 'Default',
          containers: [
            {
              name: 'dns',
              image: 'fairlead/dns',
              args: ['--zone', clusterDomain],
              ports: [
                { name: 'dns', containerPort: 53, protocol: 'UDP' },
                { name: 'dns-tcp', containerPort: 53, protocol: 'TCP' },
                { name: 'metrics', containerPort: 9153, protocol: 'TCP' },
              ],
              readinessProbe: { httpGet: { path: '/ready', port: 8181 }, periodSeconds: 1 },
              livenessProbe: { httpGet: { path: '/health', port: 8080 }, initialDelaySeconds: 60 },
            },
          ],
        },
      },
    },
  };
}

/** Creates what is missing and leaves alone what is there: it may be somebody's own by now. */
export async function ensure(
  client: KubeClient,
  objects: readonly (readonly [Resource, KubeObject])[],
): Promise<void> {
  for (const [resource, object] of objects) {
    const { name = '', namespace } = object.metadata ?? {};
    // Asked first, because creating again a Service that names its address is refused for the address, not the name.
    if (!(await exists(client, resource, name, namespace))) await client.create(resource, object, namespace);
  }
}

async function exists(
  client: KubeClient,
  resource: Resource,
  name: string,
  namespace?: string,
): Promise<boolean> {
  try {
    await client.get(resource, name, namespace);
    return true;
  } catch (error) {
    if (ApiError.is(error, 'NotFound')) return false;
    throw error;
  }
}
