import type { KubeObject } from '../objects.ts';

/** meta.k8s.io/v1 TableColumnDefinition. */
export interface Column {
  name: string;
  type: 'string' | 'integer';
  /** `name` marks the column kubectl prefixes with the kind in mixed lists. */
  format: string;
  description: string;
  /** 0 is always shown, 1 with `-o wide` only. */
  priority: number;
}

/** meta.k8s.io/v1 TableRowCondition: kubectl knows a row of something that has run its course by it. */
export interface RowCondition {
  type: 'Completed';
  status: 'True';
  reason: string;
  message: string;
}

export type Cell = string | number;

/** How the objects of one resource print. */
export interface Printer<T extends KubeObject = KubeObject> {
  readonly columns: readonly Column[];
  /** One cell a column. `now` is in milliseconds since 1970. */
  readonly cells: (object: T, now: number) => Cell[];
  readonly conditions?: (object: T) => RowCondition[];
}

export const NAME_COLUMN: Column = {
  name: 'Name',
  type: 'string',
  format: 'name',
  description: 'Name must be unique within a namespace.',
  priority: 0,
};

export const column = (name: string, description: string, type: Column['type'] = 'string'): Column => ({
  name,
  type,
  format: '',
  description,
  priority: 0,
});

export const wide = (name: string, description: string): Column => ({
  ...column(name, description),
  priority: 1,
});

export const AGE_COLUMN: Column = column('Age', 'How long ago the object was created.');

/** What the workloads show of their template with `-o wide`. */
export const CONTAINERS_COLUMNS: readonly Column[] = [
  wide('Containers', "Names of the template's containers."),
  wide('Images', 'Images referenced by the containers.'),
];
