/**
 * Tables: lists as `kubectl get` shows them (meta.k8s.io/v1 Table), with upstream's columns and cell texts
 * (pkg/printers/internalversion, v1.33).
 *
 * Promises: the columns of a resource are always the same, in upstream's order; priority 1 means shown by `-o wide` only.
 * Refuses: to fail on an odd object. A field that is missing prints as upstream prints it: `<none>`, `<unknown>`, empty.
 *
 * @example tableOf(RESOURCES.pods, [pod], { now: Date.now() }).rows[0].cells // ['web', '1/1', 'Running', 0, '5s', …]
 */
import type { KubeObject, ObjectMeta } from '../objects.ts';
import type { Resource } from '../resources.ts';
import { type Column, type Printer, printerOf, type RowCondition } from './printers.ts';

export { humanDuration } from './duration.ts';
export type { Column, RowCondition } from './printers.ts';

/** What a row carries of its object: nothing, its metadata (upstream's default), or all of it. */
export type IncludeObject = 'None' | 'Metadata' | 'Object';

export interface ListMeta {
  resourceVersion?: string;
  continue?: string;
  remainingItemCount?: number;
}

export interface PartialObjectMetadata {
  kind: 'PartialObjectMetadata';
  apiVersion: 'meta.k8s.io/v1';
  metadata: ObjectMeta;
}

export interface TableRow {
  /** One a column: a string, or a number where the column's type is integer. */
  cells: (string | number)[];
  conditions?: RowCondition[];
  object: KubeObject | PartialObjectMetadata | null;
}

export interface Table {
  kind: 'Table';
  apiVersion: 'meta.k8s.io/v1';
  metadata: ListMeta;
  columnDefinitions: Column[];
  rows: TableRow[];
}

export interface TableOptions {
  /** The time ages are counted to, in milliseconds since 1970. */
  readonly now: number;
  readonly includeObject?: IncludeObject;
  /** The list's own metadata, passed through. */
  readonly metadata?: ListMeta;
}

/** The objects, in their order, as rows of the resource's table. */
export function tableOf(resource: Resource, objects: readonly KubeObject[], options: TableOptions): Table {
  const printer: Printer = printerOf(resource);
  return {
    kind: 'Table',
    apiVersion: 'meta.k8s.io/v1',
    metadata: options.metadata ?? {},
    columnDefinitions: [...printer.columns],
    rows: objects.map((object) => {
      const conditions = printer.conditions?.(object) ?? [];
      return {
        cells: printer.cells(object, options.now),
        ...(conditions.length === 0 ? {} : { conditions }),
        object: included(object, options.includeObject ?? 'Metadata'),
      };
    }),
  };
}

function included(object: KubeObject, include: IncludeObject): TableRow['object'] {
  if (include === 'None') return null;
  if (include === 'Object') return object;
  return {
    kind: 'PartialObjectMetadata',
    apiVersion: 'meta.k8s.io/v1',
    metadata: object.metadata ?? {},
  };
}
