import { defaultPodSpec } from './defaults-pod.ts';
import type { Deployment, PodTemplateSpec, ReplicaSet, StatefulSet } from './objects.ts';
import type { Writable } from './writable.ts';

/** What a workload's spec needs to hold before its defaults can go in. */
const emptyTemplate = (): Writable<PodTemplateSpec> => ({ metadata: {}, spec: { containers: [] } });

function defaultTemplate(template: Writable<PodTemplateSpec>): void {
  template.metadata ??= {};
  template.spec ??= { containers: [] };
  defaultPodSpec(template.spec);
}

export function defaultDeployment(deployment: Writable<Deployment>): void {
  deployment.spec ??= { selector: {}, template: emptyTemplate() };
  const { spec } = deployment;
  spec.replicas ??= 1;
  spec.strategy ??= {};
  spec.strategy.type ||= 'RollingUpdate';
  if (spec.strategy.type === 'RollingUpdate') {
    spec.strategy.rollingUpdate ??= {};
    spec.strategy.rollingUpdate.maxUnavailable ??= '25%';
    spec.strategy.rollingUpdate.maxSurge ??= '25%';
  }
  spec.revisionHistoryLimit ??= 10;
  spec.progressDeadlineSeconds ??= 600;
  spec.template ??= emptyTemplate();
  defaultTemplate(spec.template);
  deployment.status ??= {};
}

export function defaultReplicaSet(set: Writable<ReplicaSet>): void {
  set.spec ??= { selector: {} };
  set.spec.replicas ??= 1;
  set.spec.template ??= emptyTemplate();
  defaultTemplate(set.spec.template);
  set.status ??= { replicas: 0 };
}

export function defaultStatefulSet(set: Writable<StatefulSet>): void {
  set.spec ??= { selector: {}, serviceName: '', template: emptyTemplate() };
  const { spec } = set;
  spec.podManagementPolicy ||= 'OrderedReady';
  spec.updateStrategy ??= {};
  spec.updateStrategy.type ||= 'RollingUpdate';
  if (spec.updateStrategy.type === 'RollingUpdate') {
    spec.updateStrategy.rollingUpdate ??= {};
    spec.updateStrategy.rollingUpdate.partition ??= 0;
  }
  spec.persistentVolumeClaimRetentionPolicy ??= {};
  spec.persistentVolumeClaimRetentionPolicy.whenDeleted ||= 'Retain';
  spec.persistentVolumeClaimRetentionPolicy.whenScaled ||= 'Retain';
  spec.replicas ??= 1;
  spec.revisionHistoryLimit ??= 10;
  for (const claim of spec.volumeClaimTemplates ?? []) {
    claim.spec ??= {};
    claim.spec.volumeMode ||= 'Filesystem';
    claim.status ??= {};
    claim.status.phase ||= 'Pending';
  }
  spec.template ??= emptyTemplate();
  defaultTemplate(spec.template);
  set.status ??= { replicas: 0, availableReplicas: 0 };
}
