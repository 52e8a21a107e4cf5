import type { Resource } from '../../kube/resources.ts';
import { FIELD_PATHS, parseFieldSelector, parseLabelSelector, SelectorError } from '../../kube/selectors.ts';
import { badRequest } from '../status.ts';
import type { AnyObject } from './stored.ts';

/** Which objects of a collection a request is about. */
export type Selection = (object: AnyObject) => boolean;

/** The selection of a request's labelSelector and fieldSelector; undefined for all. Throws BadRequest. */
export function selectionOf(resource: Resource, query: URLSearchParams): Selection | undefined {
  const labels = query.get('labelSelector') ?? '';
  const fields = query.get('fieldSelector') ?? '';
  try {
    const byLabel = parseLabelSelector(labels);
    const byField = parseFieldSelector(fields, FIELD_PATHS[resource.plural]);
    if (byLabel.empty && byField.empty) return undefined;
    return (object) => byLabel.matches(object.metadata.labels) && byField.matches(object);
  } catch (error) {
    if (!(error instanceof SelectorError)) throw error;
    const { group, version, plural } = resource;
    throw badRequest(
      `Unable to find "${group}/${version}, Resource=${plural}" that match label selector "${labels}", field selector "${fields}": ${error.message}`,
    );
  }
}
