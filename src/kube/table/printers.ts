import type { KubeObject } from '../objects.ts';
import type { Resource } from '../resources.ts';
import { ageOf } from './cells.ts';
import { type Column, column, NAME_COLUMN } from './column.ts';

export type { Column } from './column.ts';

/** meta.k8s.io/v1 TableRowCondition: kubectl greys out rows that are Completed. */
export interface RowCondition {
  type: 'Completed';
  status: 'True';
  reason: string;
  message: string;
}

/** How the objects of one resource print. */
export interface Printer {
  readonly columns: readonly Column[];
  readonly cells: (object: KubeObject, now: number) => (string | number)[];
  readonly conditions?: (object: KubeObject) => RowCondition[];
}

/** For a resource without columns of its own: its name and age, as for a custom resource. */
const PLAIN: Printer = {
  columns: [NAME_COLUMN, column('Age')],
  cells: (object, now) => [object.metadata?.name ?? '', ageOf(object, now)],
};

const PRINTERS: Readonly<Record<string, Printer>> = {};

export const printerOf = (resource: Resource): Printer => PRINTERS[resource.plural] ?? PLAIN;
