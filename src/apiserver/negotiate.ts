import { stringify } from 'yaml';
import { notAcceptable } from './status.ts';

/** The form an answer is wanted in, chosen from the Accept header. */
export interface Wanted {
  readonly format: 'json' | 'yaml';
  /** The parameter `as`: `Table`, `PartialObjectMetadata`, `APIGroupDiscoveryList`, …; undefined for the thing itself. */
  readonly as: string | undefined;
  /** The version of `as`. */
  readonly version: string | undefined;
}

/** A form that can be served besides the thing itself. */
export interface Form {
  readonly as: string;
  readonly group: string;
  readonly version: string;
}

export const TABLE: Form = { as: 'Table', group: 'meta.k8s.io', version: 'v1' };
export const METADATA: Form = { as: 'PartialObjectMetadata', group: 'meta.k8s.io', version: 'v1' };
export const METADATA_LIST: Form = { as: 'PartialObjectMetadataList', group: 'meta.k8s.io', version: 'v1' };

const FORMATS: Readonly<Record<string, Wanted['format']>> = {
  'application/json': 'json',
  'application/yaml': 'yaml',
  'application/*': 'json',
  '*/*': 'json',
};

/**
 * The first of the Accept header's entries that can be served; quality values are not weighed, as upstream. Throws
 * NotAcceptable.
 */
export function negotiate(accept: string | undefined, forms: readonly Form[]): Wanted {
  for (const entry of (accept === undefined || accept === '' ? '*/*' : accept).split(',')) {
    const [media = '', ...pairs] = entry.split(';').map((part) => part.trim());
    const format = FORMATS[media.toLowerCase()];
    if (format === undefined) continue;
    const params = new Map(
      pairs.map((pair) => pair.split('=', 2)).map(([name = '', value = '']) => [name, value]),
    );
    const as = params.get('as');
    if (as === undefined) return { format, as, version: undefined };
    const form = forms.find(
      (one) => one.as === as && one.group === params.get('g') && one.version === params.get('v'),
    );
    if (form !== undefined) return { format, as, version: form.version };
  }
  throw notAcceptable(['application/json', 'application/yaml']);
}

/** The body of an answer and its content type. `body` is a JSON text or what becomes one. */
export function render(
  body: string | object,
  { format }: Pick<Wanted, 'format'>,
): [text: string, media: string] {
  if (format === 'json') return [typeof body === 'string' ? body : JSON.stringify(body), 'application/json'];
  const value: unknown = typeof body === 'string' ? JSON.parse(body) : body;
  return [stringify(value, { lineWidth: 0, aliasDuplicateObjects: false }), 'application/yaml'];
}
