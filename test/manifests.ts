/** Objects the whole-system tests create, as small as they may be. */

interface ContainerExtra {
  readonly [field: string]: unknown;
}

export const labels = (app: string) => ({ app });

/** A responder in `replicas` copies that lets go at once. */
export function deployment(
  name: string,
  replicas: number,
  container: ContainerExtra = {},
  spec: object = {},
) {
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name },
    spec: {
      replicas,
      selector: { matchLabels: labels(name) },
      template: {
        metadata: { labels: labels(name) },
        spec: { terminationGracePeriodSeconds: 1, containers: [responder(container)], ...spec },
      },
    },
  };
}

export const responder = (extra: ContainerExtra = {}) => ({
  name: 'c',
  image: 'fairlead/responder',
  ports: [{ name: 'http', containerPort: 80 }],
  ...extra,
});

/** A Service in front of the pods labelled `app: NAME`, port 8080 to the pods' `http`. */
export function service(name: string, spec: Record<string, unknown> = {}) {
  const ports = [{ name: 'http', port: 8080, targetPort: 'http' }];
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name },
    spec: { selector: labels(name), ports, ...spec },
  };
}

/** A pod with the machine's programs that runs a script, or waits. */
export function shellPod(name: string, script = 'sleep infinity', spec: Record<string, unknown> = {}) {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, labels: labels(name) },
    spec: {
      terminationGracePeriodSeconds: 0,
      containers: [{ name: 'c', image: 'busybox', command: ['sh', '-c', script] }],
      ...spec,
    },
  };
}

/** A responder as a bare pod, on a node if one is named. */
export function responderPod(name: string, app: string, node?: string, container: ContainerExtra = {}) {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, labels: labels(app) },
    spec: {
      terminationGracePeriodSeconds: 0,
      containers: [responder(container)],
      ...(node === undefined ? {} : { nodeName: node }),
    },
  };
}
