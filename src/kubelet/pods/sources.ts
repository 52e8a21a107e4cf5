import { ApiError, type Informer, type KubeClient } from '../../client/client.ts';
import type { ConfigMap, KubeObject, Pod, Secret, Service } from '../../kube/objects.ts';
import { pathOf, RESOURCES, type Resource } from '../../kube/resources.ts';

/** Why a container or a volume cannot be made yet. It is tried again: what is missing may come. */
export class NotYet extends Error {
  override readonly name = 'NotYet';
  /** CreateContainerConfigError or FailedMount. */
  readonly reason: string;

  constructor(reason: string, message: string) {
    super(message);
    this.reason = reason;
  }
}

/** What pods refer to. Objects that do not exist are undefined; everything else that goes wrong is thrown. */
export interface Sources {
  configMap(namespace: string, name: string): Promise<ConfigMap | undefined>;
  secret(namespace: string, name: string): Promise<Secret | undefined>;
  /** The Services of a namespace, for the environment variables of service links. */
  services(namespace: string): readonly Service[];
  /** A token of the pod's ServiceAccount bound to the pod (authentication.k8s.io/v1 TokenRequest). */
  token(pod: Pod, request: { readonly audience?: string; readonly seconds: number }): Promise<string>;
}

export function clientSources(client: KubeClient, services: Informer<Service>): Sources {
  const find = async <T extends KubeObject>(resource: Resource, namespace: string, name: string) => {
    try {
      return await client.get<T>(resource, name, namespace);
    } catch (error) {
      if (ApiError.is(error, 'NotFound')) return undefined;
      throw error;
    }
  };
  return {
    configMap: (namespace, name) => find<ConfigMap>(RESOURCES.configmaps, namespace, name),
    secret: (namespace, name) => find<Secret>(RESOURCES.secrets, namespace, name),
    services: (namespace) => [...services.values()].filter((one) => one.metadata?.namespace === namespace),
    token: async (pod, { audience, seconds }) => {
      const { namespace = 'default', name, uid } = pod.metadata ?? {};
      const account = pod.spec?.serviceAccountName ?? 'default';
      const answer = await client.request<{ status: { token: string } }>(
        'POST',
        pathOf(RESOURCES.serviceaccounts, namespace, account, 'token'),
        {
          apiVersion: 'authentication.k8s.io/v1',
          kind: 'TokenRequest',
          metadata: { name: account, namespace },
          spec: {
            audiences: audience === undefined ? [] : [audience],
            expirationSeconds: seconds,
            boundObjectRef: { apiVersion: 'v1', kind: 'Pod', name, uid },
          },
        },
      );
      return answer.status.token;
    },
  };
}
