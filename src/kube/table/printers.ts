import type { KubeObject } from '../objects.ts';
import type { Resource, ResourceName } from '../resources.ts';
import { ageOf, nameOf } from './cells.ts';
import { AGE_COLUMN, NAME_COLUMN, type Printer } from './column.ts';
import { nodePrinter } from './nodes.ts';
import {
  configMapPrinter,
  eventPrinter,
  leasePrinter,
  namespacePrinter,
  secretPrinter,
  serviceAccountPrinter,
} from './others.ts';
import { podPrinter } from './pods.ts';
import { endpointSlicePrinter, endpointsPrinter, servicePrinter } from './services.ts';
import {
  controllerRevisionPrinter,
  deploymentPrinter,
  replicaSetPrinter,
  statefulSetPrinter,
} from './workloads.ts';

export type { Column, Printer, RowCondition } from './column.ts';

/** For a resource without columns of its own: name and age, as for a custom resource. */
const PLAIN: Printer = {
  columns: [NAME_COLUMN, AGE_COLUMN],
  cells: (object, now) => [nameOf(object), ageOf(object, now)],
};

/** Objects come from the wire; which kind they are, their resource says. */
const of = <T extends KubeObject>(printer: Printer<T>): Printer => ({
  columns: printer.columns,
  cells: (object, now) => printer.cells(object as T, now),
  conditions: (object) => printer.conditions?.(object as T) ?? [],
});

const PRINTERS: Readonly<Record<ResourceName, Printer>> = {
  namespaces: of(namespacePrinter),
  nodes: of(nodePrinter),
  pods: of(podPrinter),
  services: of(servicePrinter),
  endpoints: of(endpointsPrinter),
  events: of(eventPrinter),
  configmaps: of(configMapPrinter),
  secrets: of(secretPrinter),
  serviceaccounts: of(serviceAccountPrinter),
  leases: of(leasePrinter),
  deployments: of(deploymentPrinter),
  replicasets: of(replicaSetPrinter),
  statefulsets: of(statefulSetPrinter),
  controllerrevisions: of(controllerRevisionPrinter),
  endpointslices: of(endpointSlicePrinter),
};

const isKnown = (name: string): name is ResourceName => Object.hasOwn(PRINTERS, name);

export const printerOf = ({ plural }: Resource): Printer => (isKnown(plural) ? PRINTERS[plural] : PLAIN);
