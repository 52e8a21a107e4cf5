import type { Node } from '../objects.ts';
import { ageOf, NONE, nameOf, UNKNOWN } from './cells.ts';
import { AGE_COLUMN, column, NAME_COLUMN, type Printer, wide } from './column.ts';

export const nodePrinter: Printer<Node> = {
  columns: [
    NAME_COLUMN,
    column('Status', 'Whether the node is ready and takes pods.'),
    column('Roles', 'The roles its labels give it.'),
    AGE_COLUMN,
    column('Version', 'The version of its kubelet.'),
    wide('Internal-IP', 'Its address among the nodes.'),
    wide('External-IP', 'Its address outside.'),
    wide('OS-Image', 'Its operating system.'),
    wide('Kernel-Version', 'Its kernel.'),
    wide('Container-Runtime', 'What runs its containers.'),
  ],
  cells: (node, now) => {
    const info = node.status?.nodeInfo;
    return [
      nameOf(node),
      statusText(node),
      rolesText(node),
      ageOf(node, now),
      info?.kubeletVersion ?? '',
      addressText(node, 'InternalIP'),
      addressText(node, 'ExternalIP'),
      info?.osImage || UNKNOWN,
      info?.kernelVersion || UNKNOWN,
      info?.containerRuntimeVersion || UNKNOWN,
    ];
  },
};

function statusText({ spec, status }: Node): string {
  const ready = (status?.conditions ?? []).find(({ type }) => type === 'Ready');
  const state = ready === undefined ? 'Unknown' : ready.status === 'True' ? 'Ready' : 'NotReady';
  return spec?.unschedulable ? `${state},SchedulingDisabled` : state;
}

const ROLE_PREFIX = 'node-role.kubernetes.io/';

function rolesText({ metadata }: Node): string {
  const roles = Object.entries(metadata?.labels ?? {}).flatMap(([key, value]) => {
    if (key.startsWith(ROLE_PREFIX)) return [key.slice(ROLE_PREFIX.length)];
    return key === 'kubernetes.io/role' ? [value] : [];
  });
  return [...new Set(roles.filter((role) => role !== ''))].sort().join(',') || NONE;
}

const addressText = ({ status }: Node, type: string): string =>
  (status?.addresses ?? []).find((one) => one.type === type)?.address ?? NONE;
