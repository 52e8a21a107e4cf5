/** Kinds with few rules: Namespace, Lease, Event, ControllerRevision. */
import type { ControllerRevision, Event, Lease, Namespace } from '../objects.ts';
import { checkFormat, checkNotNegative } from './checks.ts';
import { type FieldError, invalid } from './field-error.ts';
import { qualifiedName } from './formats.ts';
import { checkImmutable } from './same.ts';

export function checkNamespace(namespace: Namespace): FieldError[] {
  return (namespace.spec?.finalizers ?? []).flatMap((finalizer) =>
    checkNamespaceFinalizer('spec.finalizers', finalizer),
  );
}

export const checkNamespaceFinalizers = (namespace: Namespace): FieldError[] =>
  (namespace.spec?.finalizers ?? []).flatMap((finalizer, at) =>
    checkNamespaceFinalizer(`spec.finalizers[${at}]`, finalizer),
  );

const STANDARD_FINALIZERS = new Set(['kubernetes', 'orphan', 'foregroundDeletion']);

function checkNamespaceFinalizer(field: string, finalizer: string): FieldError[] {
  const errors = checkFormat(field, finalizer, qualifiedName);
  return finalizer.includes('/') || STANDARD_FINALIZERS.has(finalizer)
    ? errors
    : [
        ...errors,
        invalid(field, finalizer, 'name is neither a standard finalizer name nor is it fully qualified'),
      ];
}

/** The phase follows deletion, and only deletion. */
export function checkNamespaceStatus(namespace: Namespace): FieldError[] {
  const phase = namespace.status?.phase ?? '';
  const deleted = namespace.metadata?.deletionTimestamp !== undefined;
  const wanted = deleted ? 'Terminating' : 'Active';
  const when = `may only be '${wanted}' if \`deletionTimestamp\` is ${deleted ? 'not ' : ''}empty`;
  return phase === wanted ? [] : [invalid('status.Phase', phase, when)];
}

export function checkLease({ spec = {} }: Lease): FieldError[] {
  const errors: FieldError[] = [];
  const { leaseDurationSeconds: duration, leaseTransitions: transitions } = spec;
  if (duration !== undefined && duration <= 0) {
    errors.push(invalid('spec.leaseDurationSeconds', duration, 'must be greater than 0'));
  }
  if (transitions !== undefined && transitions < 0) {
    errors.push(invalid('spec.leaseTransitions', transitions, 'must be greater than or equal to 0'));
  }
  return errors;
}

/** Shallow: events are written by daemons; that they lie where their object lies is what readers depend on. */
export function checkEvent(event: Event): FieldError[] {
  const namespace = event.metadata?.namespace ?? '';
  const about = event.involvedObject?.namespace ?? '';
  const errors: FieldError[] = [];
  // Events about objects of the cluster go to `default`.
  if (about === '' ? namespace !== 'default' && namespace !== 'kube-system' : about !== namespace) {
    errors.push(invalid('involvedObject.namespace', about, 'does not match event.namespace'));
  }
  return errors;
}

export const checkControllerRevision = ({ revision }: ControllerRevision): FieldError[] =>
  checkNotNegative('revision', revision);

/** A revision is a fact of the past; only its number may change, when it becomes the newest again. */
export const checkControllerRevisionUpdate = (
  now: ControllerRevision,
  old: ControllerRevision,
): FieldError[] => checkImmutable('data', now.data, old.data);
