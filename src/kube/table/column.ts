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

export const NAME_COLUMN: Column = {
  name: 'Name',
  type: 'string',
  format: 'name',
  description: 'Name must be unique within a namespace.',
  priority: 0,
};

export const column = (name: string, type: Column['type'] = 'string'): Column => ({
  name,
  type,
  format: '',
  description: '',
  priority: 0,
});

export const wide = (name: string, type: Column['type'] = 'string'): Column => ({
  ...column(name, type),
  priority: 1,
});
