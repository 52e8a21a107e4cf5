import type { ControllerRevision, Deployment, ReplicaSet, StatefulSet } from '../objects.ts';
import { ageOf, containerCells, nameOf, selectorText } from './cells.ts';
import { AGE_COLUMN, CONTAINERS_COLUMNS, column, NAME_COLUMN, type Printer, wide } from './column.ts';

const SELECTOR_COLUMN = wide('Selector', "The labels of the workload's pods.");

export const deploymentPrinter: Printer<Deployment> = {
  columns: [
    NAME_COLUMN,
    column('Ready', 'How many pods are ready, of how many wanted.'),
    column('Up-to-date', 'How many pods have the current template.'),
    column('Available', 'How many pods have been ready for minReadySeconds.'),
    AGE_COLUMN,
    ...CONTAINERS_COLUMNS,
    SELECTOR_COLUMN,
  ],
  cells: (deployment, now) => [
    nameOf(deployment),
    `${deployment.status?.readyReplicas ?? 0}/${deployment.spec?.replicas ?? 0}`,
    deployment.status?.updatedReplicas ?? 0,
    deployment.status?.availableReplicas ?? 0,
    ageOf(deployment, now),
    ...containerCells(deployment.spec?.template?.spec?.containers),
    selectorText(deployment.spec?.selector),
  ],
};

export const replicaSetPrinter: Printer<ReplicaSet> = {
  columns: [
    NAME_COLUMN,
    column('Desired', 'How many pods are wanted.', 'integer'),
    column('Current', 'How many pods there are.', 'integer'),
    column('Ready', 'How many pods are ready.', 'integer'),
    AGE_COLUMN,
    ...CONTAINERS_COLUMNS,
    SELECTOR_COLUMN,
  ],
  cells: (set, now) => [
    nameOf(set),
    set.spec?.replicas ?? 0,
    set.status?.replicas ?? 0,
    set.status?.readyReplicas ?? 0,
    ageOf(set, now),
    ...containerCells(set.spec?.template?.spec?.containers),
    selectorText(set.spec?.selector),
  ],
};

export const statefulSetPrinter: Printer<StatefulSet> = {
  columns: [
    NAME_COLUMN,
    column('Ready', 'How many pods are ready, of how many wanted.'),
    AGE_COLUMN,
    ...CONTAINERS_COLUMNS,
  ],
  cells: (set, now) => [
    nameOf(set),
    `${set.status?.readyReplicas ?? 0}/${set.spec?.replicas ?? 0}`,
    ageOf(set, now),
    ...containerCells(set.spec?.template?.spec?.containers),
  ],
};

export const controllerRevisionPrinter: Printer<ControllerRevision> = {
  columns: [
    NAME_COLUMN,
    column('Controller', 'The workload whose template this was.'),
    column('Revision', 'Its number; the highest is the newest.', 'integer'),
    AGE_COLUMN,
  ],
  cells: (revision, now) => [
    nameOf(revision),
    controllerText(revision),
    revision.revision ?? 0,
    ageOf(revision, now),
  ],
};

/** `statefulset.apps/web` */
function controllerText({ metadata }: ControllerRevision): string {
  const {
    kind = '',
    name = '',
    apiVersion = '',
  } = metadata?.ownerReferences?.find(({ controller }) => controller === true) ?? {};
  if (name === '') return '<none>';
  const [group, version] = apiVersion.split('/');
  return `${kind.toLowerCase()}${version === undefined ? '' : `.${group}`}/${name}`;
}
