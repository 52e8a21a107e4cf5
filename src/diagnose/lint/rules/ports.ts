import type { Finding } from '../finding.ts';
import { type LintSet, type PodSource, serviceName } from '../lint-set.ts';

const LEAST = 30_000;
const MOST = 32_767;

/** FL029: what the API server refuses with its usual range. */
export function* nodePortOutOfRange(set: LintSet): Generator<Finding> {
  for (const service of set.services) {
    for (const [at, { nodePort }] of (service.object.spec?.ports ?? []).entries()) {
      if (nodePort === undefined || nodePort === 0 || (nodePort >= LEAST && nodePort <= MOST)) continue;
      yield {
        code: 'FL029',
        severity: 'error',
        object: `Service ${serviceName(service)}`,
        place: service.manifest.place(['spec', 'ports', at, 'nodePort']),
        message: `nodePort ${nodePort} is not in ${LEAST}-${MOST}`,
        cure: `choose one of ${LEAST}-${MOST}, or leave nodePort out`,
      };
    }
  }
}

/** FL030: a node port belongs to one Service and protocol, and to no process of a node. */
export function* nodePortCollisions(set: LintSet): Generator<Finding> {
  const owners = new Map<string, string>();
  for (const service of set.services) {
    const name = serviceName(service);
    for (const [at, { nodePort, protocol = 'TCP' }] of (service.object.spec?.ports ?? []).entries()) {
      if (!nodePort) continue;
      const key = `${nodePort}/${protocol}`;
      const other = owners.get(key);
      const place = service.manifest.place(['spec', 'ports', at, 'nodePort']);
      const taken = { code: 'FL030', object: `Service ${name}`, place } as const;
      if (other !== undefined) {
        yield {
          ...taken,
          severity: 'error',
          message: `nodePort ${key} is that of Service ${other} already`,
          cure: 'choose another nodePort, or leave it out and one is given',
        };
      }
      owners.set(key, other ?? name);
      const process = set.pods.find((pod) => takesNodePort(pod, nodePort, protocol));
      if (process === undefined) continue;
      yield {
        ...taken,
        severity: 'warning',
        message: `${process.what} takes ${key} on its node, and the rules of the Service win over it`,
        cure: `choose another nodePort, or move the process out of ${LEAST}-${MOST}`,
      };
    }
  }
}

function takesNodePort({ spec }: PodSource, nodePort: number, protocol: string): boolean {
  const ports = (spec?.containers ?? []).flatMap((container) => container.ports ?? []);
  return ports.some((port) => {
    const onNode = spec?.hostNetwork === true ? port.containerPort : port.hostPort;
    return onNode === nodePort && (port.protocol ?? 'TCP') === protocol;
  });
}
