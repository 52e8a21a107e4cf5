/** ServiceAccount `default` and ConfigMap `kube-root-ca.crt` in each namespace: what every pod is given to find the API by. */
import { ApiError } from '../client/client.ts';
import type { ConfigMap, KubeObject, Namespace, ServiceAccount } from '../kube/objects.ts';
import { RESOURCES } from '../kube/resources.ts';
import { type Context, queueOf } from './context.ts';
import { isDeleting, nameOf, namespaceOf } from './metadata.ts';

const ACCOUNT = 'default';
const ROOT_CA = 'kube-root-ca.crt';
const KEY = 'ca.crt';

export function startServiceAccounts(context: Context): void {
  const { client, informers, rootCa } = context;
  const queue = queueOf(context, 'serviceaccount', sync, 4);
  const wake = (namespace: Namespace) => queue.add(nameOf(namespace));
  const repair = (object: KubeObject) => {
    if ([ACCOUNT, ROOT_CA].includes(nameOf(object))) queue.add(namespaceOf(object));
  };
  informers.namespaces.subscribe({ added: wake });
  informers.serviceaccounts.subscribe({ deleted: repair });
  informers.configmaps.subscribe({ updated: repair, deleted: repair });

  async function sync(namespace: string): Promise<void> {
    await Promise.all([informers.serviceaccounts.synced, informers.configmaps.synced]);
    const held = informers.namespaces.get(namespace);
    if (held === undefined || isDeleting(held)) return;
    await Promise.all([makeAccount(namespace), publishCa(namespace)]);
  }

  async function makeAccount(namespace: string): Promise<void> {
    if (informers.serviceaccounts.get(`${namespace}/${ACCOUNT}`) !== undefined) return;
    await make(() =>
      client.create<ServiceAccount>(RESOURCES.serviceaccounts, { metadata: { name: ACCOUNT, namespace } }),
    );
  }

  async function publishCa(namespace: string): Promise<void> {
    if (rootCa === undefined) return;
    const held = informers.configmaps.get(`${namespace}/${ROOT_CA}`);
    const data = { [KEY]: rootCa };
    if (held === undefined) {
      const description =
        'Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the ' +
        'internal service IP or kubernetes.default.svc. No other usage is guaranteed across distributions of ' +
        'Kubernetes clusters.';
      const annotations = { 'kubernetes.io/description': description };
      const metadata = { name: ROOT_CA, namespace, annotations };
      await make(() => client.create<ConfigMap>(RESOURCES.configmaps, { metadata, data }));
    } else if (held.data?.[KEY] !== rootCa) {
      await client.patch(RESOURCES.configmaps, { name: ROOT_CA, namespace }, 'merge', { data });
    }
  }
}

/** The server may make the account itself. */
async function make(create: () => Promise<unknown>): Promise<void> {
  try {
    await create();
  } catch (error) {
    if (!ApiError.is(error, 'AlreadyExists')) throw error;
  }
}
