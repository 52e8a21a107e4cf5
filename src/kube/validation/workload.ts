/** Deployments, ReplicaSets and StatefulSets (upstream: pkg/apis/apps/validation). */
import type { LabelSelector } from 'kubernetes-types/meta/v1.js';
import type { Deployment, PodTemplateSpec, ReplicaSet, StatefulSet } from '../objects.ts';
import { labelSelector, type Selector, SelectorError } from '../selectors.ts';
import { checkFormat, checkNotNegative, checkOneOf } from './checks.ts';
import { type FieldError, forbidden, invalid, notSupported, required } from './field-error.ts';
import { percent } from './formats.ts';
import { checkLabelSelector, isEmptySelector } from './labels.ts';
import { checkPodTemplate } from './pod.ts';
import { checkImmutable, same } from './same.ts';

/** The three differ in how they say that a selector selects everything. */
interface Words {
  readonly emptySelector: string;
  readonly deadline: string;
}

function checkSelector(selector: LabelSelector | undefined, words: Words): FieldError[] {
  if (selector === undefined) return [required('spec.selector')];
  const errors = checkLabelSelector('spec.selector', selector);
  return isEmptySelector(selector)
    ? [...errors, invalid('spec.selector', selector, words.emptySelector)]
    : errors;
}

/** A template whose pods the selector would not find makes a controller that never stops creating. */
function checkTemplate(
  template: PodTemplateSpec = {},
  selector: LabelSelector | undefined,
  words: Words,
): FieldError[] {
  const field = 'spec.template';
  const selects = parsed(selector);
  if (selects === undefined) return [invalid('spec.selector', selector, 'invalid label selector')];
  const labels = template.metadata?.labels;
  const policy = template.spec?.restartPolicy;
  const errors: FieldError[] = [];
  if (!selects.matches(labels ?? {})) {
    errors.push(invalid(`${field}.metadata.labels`, labels, '`selector` does not match template `labels`'));
  }
  errors.push(...checkPodTemplate(field, template));
  if (policy !== undefined && policy !== 'Always') {
    errors.push(notSupported(`${field}.spec.restartPolicy`, policy, ['Always']));
  }
  if (template.spec?.activeDeadlineSeconds !== undefined) {
    errors.push(forbidden(`${field}.spec.activeDeadlineSeconds`, words.deadline));
  }
  return errors;
}

function parsed(selector: LabelSelector | undefined): Pick<Selector, 'matches'> | undefined {
  try {
    return labelSelector(selector);
  } catch (error) {
    if (error instanceof SelectorError) return undefined;
    throw error;
  }
}

const DEPLOYMENT: Words = {
  emptySelector: 'empty selector is invalid for deployment',
  deadline: 'activeDeadlineSeconds in ReplicaSet is not Supported',
};

export function checkDeployment(deployment: Deployment): FieldError[] {
  const spec = deployment.spec ?? ({} as NonNullable<Deployment['spec']>);
  const errors = [
    ...checkNotNegative('spec.replicas', spec.replicas),
    ...checkSelector(spec.selector, DEPLOYMENT),
    ...checkTemplate(spec.template, spec.selector, DEPLOYMENT),
    ...checkStrategy(spec.strategy),
    ...checkNotNegative('spec.minReadySeconds', spec.minReadySeconds),
    ...checkNotNegative('spec.revisionHistoryLimit', spec.revisionHistoryLimit),
    ...checkNotNegative('spec.progressDeadlineSeconds', spec.progressDeadlineSeconds),
  ];
  const { progressDeadlineSeconds: deadline, minReadySeconds: ready = 0 } = spec;
  if (deadline !== undefined && deadline <= ready) {
    errors.push(invalid('spec.progressDeadlineSeconds', deadline, 'must be greater than minReadySeconds'));
  }
  return errors;
}

type Strategy = NonNullable<Deployment['spec']>['strategy'];

function checkStrategy(strategy: Strategy = {}): FieldError[] {
  const field = 'spec.strategy';
  if (strategy.type === 'Recreate') {
    return strategy.rollingUpdate === undefined
      ? []
      : [forbidden(`${field}.rollingUpdate`, "may not be specified when strategy `type` is 'Recreate'")];
  }
  if (strategy.type !== 'RollingUpdate') {
    return checkOneOf(`${field}.type`, strategy.type, ['Recreate', 'RollingUpdate']);
  }
  if (strategy.rollingUpdate === undefined) {
    return [required(`${field}.rollingUpdate`, 'this should be defaulted and never be nil')];
  }
  const { maxUnavailable = 0, maxSurge = 0 } = strategy.rollingUpdate;
  const path = `${field}.rollingUpdate`;
  const errors = [
    ...checkShare(`${path}.maxUnavailable`, maxUnavailable),
    ...checkShare(`${path}.maxSurge`, maxSurge),
  ];
  if (sizeOf(maxUnavailable) === 0 && sizeOf(maxSurge) === 0) {
    errors.push(invalid(`${path}.maxUnavailable`, maxUnavailable, 'may not be 0 when `maxSurge` is 0'));
  }
  if (typeof maxUnavailable === 'string' && sizeOf(maxUnavailable) > 100) {
    errors.push(invalid(`${path}.maxUnavailable`, maxUnavailable, 'must not be greater than 100%'));
  }
  return errors;
}

/** A count of pods, or a share of them in percent. */
const checkShare = (field: string, value: number | string): FieldError[] =>
  typeof value === 'number' ? checkNotNegative(field, value) : checkFormat(field, value, percent);

const sizeOf = (value: number | string): number =>
  typeof value === 'number' ? value : Number.parseInt(value, 10);

const REPLICA_SET: Words = {
  emptySelector: 'empty selector is invalid for deployment',
  deadline: 'activeDeadlineSeconds in ReplicaSet is not Supported',
};

export function checkReplicaSet(set: ReplicaSet): FieldError[] {
  const spec = set.spec ?? ({} as NonNullable<ReplicaSet['spec']>);
  return [
    ...checkNotNegative('spec.replicas', spec.replicas),
    ...checkNotNegative('spec.minReadySeconds', spec.minReadySeconds),
    ...checkSelector(spec.selector, REPLICA_SET),
    ...checkTemplate(spec.template, spec.selector, REPLICA_SET),
  ];
}

const STATEFUL_SET: Words = {
  emptySelector: 'empty selector is invalid for statefulset',
  deadline: 'activeDeadlineSeconds in StatefulSet is not Supported',
};

export function checkStatefulSet(set: StatefulSet): FieldError[] {
  const spec = set.spec ?? ({} as NonNullable<StatefulSet['spec']>);
  return [
    ...checkPodManagement(spec.podManagementPolicy),
    ...checkUpdateStrategy(spec.updateStrategy),
    ...checkNotNegative('spec.replicas', spec.replicas),
    ...checkNotNegative('spec.minReadySeconds', spec.minReadySeconds),
    ...checkNotNegative('spec.ordinals.start', spec.ordinals?.start),
    ...checkSelector(spec.selector, STATEFUL_SET),
    ...checkTemplate(withClaims(spec.template, spec.volumeClaimTemplates), spec.selector, STATEFUL_SET),
  ];
}

type Claims = NonNullable<StatefulSet['spec']>['volumeClaimTemplates'];

/** Claims become volumes of the pods, so containers may mount them. */
function withClaims(template: PodTemplateSpec | undefined, claims: Claims = []): PodTemplateSpec | undefined {
  if (template?.spec === undefined || claims.length === 0) return template;
  const names = new Set(claims.map(({ metadata }) => metadata?.name ?? ''));
  const volumes = (template.spec.volumes ?? []).filter(({ name }) => !names.has(name));
  const claimed = [...names].map((name) => ({ name, persistentVolumeClaim: { claimName: name } }));
  return { ...template, spec: { ...template.spec, volumes: [...volumes, ...claimed] } };
}

function checkPodManagement(policy: string | undefined): FieldError[] {
  const field = 'spec.podManagementPolicy';
  if (policy === undefined || policy === '') return [required(field)];
  return policy === 'OrderedReady' || policy === 'Parallel'
    ? []
    : [invalid(field, policy, "must be 'OrderedReady' or 'Parallel'")];
}

type UpdateStrategy = NonNullable<StatefulSet['spec']>['updateStrategy'];

function checkUpdateStrategy(strategy: UpdateStrategy = {}): FieldError[] {
  const field = 'spec.updateStrategy';
  switch (strategy.type) {
    case undefined:
    case '':
      return [required(field)];
    case 'OnDelete':
      return strategy.rollingUpdate === undefined
        ? []
        : [
            invalid(
              `${field}.rollingUpdate`,
              strategy.rollingUpdate,
              "only allowed for updateStrategy 'RollingUpdate'",
            ),
          ];
    case 'RollingUpdate':
      return checkNotNegative(`${field}.rollingUpdate.partition`, strategy.rollingUpdate?.partition);
    default:
      return [invalid(field, strategy, "must be 'RollingUpdate' or 'OnDelete'")];
  }
}

type Selecting = { readonly spec?: { readonly selector?: LabelSelector } };

/** Pods an old selector found would be orphaned by a new one. */
export const checkSelectorUpdate = (now: Selecting, old: Selecting): FieldError[] =>
  checkImmutable('spec.selector', now.spec?.selector, old.spec?.selector);

const STATEFUL_SET_MUTABLE = new Set([
  'replicas',
  'ordinals',
  'template',
  'updateStrategy',
  'revisionHistoryLimit',
  'persistentVolumeClaimRetentionPolicy',
  'minReadySeconds',
]);

export function checkStatefulSetUpdate(now: StatefulSet, old: StatefulSet): FieldError[] {
  const fixed = (set: StatefulSet) =>
    Object.fromEntries(Object.entries(set.spec ?? {}).filter(([key]) => !STATEFUL_SET_MUTABLE.has(key)));
  return same(fixed(now), fixed(old))
    ? []
    : [
        forbidden(
          'spec',
          "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden",
        ),
      ];
}

const COUNTS = [
  'replicas',
  'updatedReplicas',
  'readyReplicas',
  'availableReplicas',
  'unavailableReplicas',
  'fullyLabeledReplicas',
  'currentReplicas',
  'observedGeneration',
] as const;

/** Upstream bounds these three by status.replicas in every workload that has them. */
const BOUNDED = ['updatedReplicas', 'readyReplicas', 'availableReplicas'] as const;

type Counts = { readonly [K in (typeof COUNTS)[number]]?: number };

/** The counts of a workload's status. */
export function checkReplicaCounts(status: Counts = {}): FieldError[] {
  const total = status.replicas ?? 0;
  return [
    ...COUNTS.flatMap((key) => checkNotNegative(`status.${key}`, status[key])),
    ...BOUNDED.flatMap((key) =>
      (status[key] ?? 0) > total
        ? [invalid(`status.${key}`, status[key], 'cannot be greater than status.replicas')]
        : [],
    ),
    ...((status.availableReplicas ?? 0) > (status.readyReplicas ?? 0)
      ? [
          invalid(
            'status.availableReplicas',
            status.availableReplicas,
            'cannot be greater than readyReplicas',
          ),
        ]
      : []),
  ];
}
