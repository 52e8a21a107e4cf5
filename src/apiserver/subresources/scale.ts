import { applyPatch, decodePatched, type JsonObject } from '../../kube/schema/schema.ts';
import type { labelSelector } from '../../kube/selectors.ts';
import {
  type Answer,
  asObject,
  type Call,
  decodedBody,
  dryRunOf,
  fieldValidationOf,
  keyOf,
  methodOf,
} from '../call.ts';
import { readBody } from '../http.ts';
import { asJson, patchTypeOf, unpinned } from '../object-handlers.ts';
import { type AnyObject, decode } from '../registry/stored.ts';
import { methodNotAllowed, notFound } from '../status.ts';

const SCALE = { group: 'autoscaling', version: 'v1', kind: 'Scale' } as const;

/** `…/NAME/scale`: autoscaling/v1 Scale, a view of spec.replicas that is the same for all workloads. */
export async function handleScale(call: Call): Promise<Answer> {
  const key = keyOf(call);
  if (methodOf(call) === 'GET') return { code: 200, body: scaleOf(decode(await call.registry.get(key))) };
  const change = await changeOf(call);
  const dryRun = dryRunOf(call);
  const { object } = await call.registry.update(
    key,
    async (current) => {
      if (current === undefined) throw notFound(key.resource, key.name);
      const scale = change(scaleOf(current));
      const { resourceVersion: _, ...metadata } = current.metadata;
      const version = scale.metadata.resourceVersion;
      return {
        ...current,
        metadata: version === undefined ? metadata : { ...metadata, resourceVersion: version },
        spec: { ...current.spec, replicas: Number(scale.spec?.replicas ?? 0) },
      };
    },
    { dryRun },
  );
  return { code: 200, body: scaleOf(object) };
}

/** What the request makes of a Scale. */
async function changeOf(call: Call): Promise<(scale: AnyObject) => AnyObject> {
  if (methodOf(call) === 'PUT') {
    const { object } = await decodedBody(call, SCALE);
    return () => object;
  }
  if (methodOf(call) !== 'PATCH') throw methodNotAllowed();
  const type = patchTypeOf(call);
  const validation = fieldValidationOf(call);
  const body = await readBody(call.request);
  return (scale) => {
    const patched: JsonObject = applyPatch(SCALE, asJson(scale), body, type);
    return unpinned(asObject(decodePatched(SCALE, patched, body, validation)).object, scale);
  };
}

function scaleOf(object: AnyObject): AnyObject {
  const {
    name = '',
    namespace = '',
    uid = '',
    resourceVersion = '',
    creationTimestamp = '',
  } = object.metadata;
  const { replicas, selector } = object.spec as Pick<WorkloadSpec, 'replicas' | 'selector'>;
  const status = { replicas: Number(object.status?.replicas ?? 0), selector: selectorText(selector) };
  return {
    kind: SCALE.kind,
    apiVersion: 'autoscaling/v1',
    metadata: { name, namespace, uid, resourceVersion, creationTimestamp },
    spec: replicas === undefined ? {} : { replicas },
    status,
  };
}

type LabelSelector = Parameters<typeof labelSelector>[0];

/** What the spec of every workload with a scale has. */
interface WorkloadSpec {
  readonly replicas?: number;
  readonly selector?: LabelSelector;
}

/** As metav1.FormatLabelSelector prints it: `app=nginx,tier in (a,b)`. */
function selectorText(selector: LabelSelector): string {
  const { matchLabels = {}, matchExpressions = [] } = selector ?? {};
  const equal = Object.entries(matchLabels).map(([key, value]) => `${key}=${value}`);
  const others = matchExpressions.map(({ key, operator, values = [] }) => {
    if (operator === 'Exists') return key;
    if (operator === 'DoesNotExist') return `!${key}`;
    return `${key} ${operator.toLowerCase()} (${values.join(',')})`;
  });
  return [...equal, ...others].sort().join(',');
}
