/**
 * The templates a StatefulSet has had, as ControllerRevisions: pods below the partition are made anew from an old one, and `kubectl
 * rollout history` and `undo` read them.
 */
import { ApiError } from '../../client/client.ts';
import type { ControllerRevision, PodTemplateSpec, StatefulSet } from '../../kube/objects.ts';
import { RESOURCES } from '../../kube/resources.ts';
import { BY_CONTROLLER, type Context } from '../context.ts';
import { controllerReference, keyPartsOf, nameOf, namespaceOf, uidOf } from '../metadata.ts';
import { OwnWrites } from '../own-writes.ts';
import { hashName, sameJson } from '../same-json.ts';

/** The revisions of one StatefulSet that count now. */
export interface History {
  /** Of the present template. */
  readonly update: ControllerRevision;
  /** Of the last rollout that was completed; the same as `update` between rollouts. */
  readonly current: ControllerRevision;
}

export class StatefulSetHistory {
  readonly #context: Context;
  readonly #writes: OwnWrites<ControllerRevision>;

  constructor(context: Context) {
    this.#context = context;
    this.#writes = new OwnWrites(context.informers.controllerrevisions);
  }

  /** Notes the present template if it is new. A template that returns gets the highest number, as upstream has it. */
  async note(set: StatefulSet): Promise<History> {
    const all = this.#revisionsOf(set);
    const equal = all.find(({ data }) => sameJson(data, dataOf(set)));
    const highest = all.at(-1)?.revision ?? 0;
    const update = await this.#newest(set, equal, highest);
    const current = all.find((one) => nameOf(one) === set.status?.currentRevision) ?? update;
    return { update, current };
  }

  /** Removes the oldest revisions beyond revisionHistoryLimit that no pod has. */
  async prune(set: StatefulSet, used: ReadonlySet<string>): Promise<void> {
    const idle = this.#revisionsOf(set).filter((one) => !used.has(nameOf(one)));
    const limit = set.spec?.revisionHistoryLimit ?? 10;
    for (const revision of idle.slice(0, Math.max(0, idle.length - limit))) {
      this.#writes.drop(revision);
      try {
        await this.#context.client.delete(RESOURCES.controllerrevisions, keyPartsOf(revision));
      } catch (error) {
        if (!ApiError.is(error, 'NotFound')) throw error;
      }
    }
  }

  /** Lowest number first. */
  #revisionsOf(set: StatefulSet): ControllerRevision[] {
    const isOwned = (one: ControllerRevision) =>
      one.metadata?.ownerReferences?.some(({ uid }) => uid === uidOf(set)) ?? false;
    const held = this.#context.informers.controllerrevisions.lookup(BY_CONTROLLER, uidOf(set));
    return this.#writes.correct(held, isOwned).toSorted((a, b) => a.revision - b.revision);
  }

  async #newest(
    set: StatefulSet,
    equal: ControllerRevision | undefined,
    highest: number,
  ): Promise<ControllerRevision> {
    const { client } = this.#context;
    if (equal?.revision === highest) return equal;
    const revision = highest + 1;
    const written =
      equal === undefined
        ? await client.create(RESOURCES.controllerrevisions, revisionOf(set, revision), namespaceOf(set))
        : await client.patch<ControllerRevision>(RESOURCES.controllerrevisions, keyPartsOf(equal), 'merge', {
            revision,
          });
    this.#writes.put(written);
    return written;
  }
}

/** A patch of the StatefulSet that brings the template back; `kubectl rollout undo` sends it as it is. */
const dataOf = (set: StatefulSet) => ({ spec: { template: { ...set.spec?.template, $patch: 'replace' } } });

export function templateOf({ data }: ControllerRevision): PodTemplateSpec {
  const { $patch: _directive, ...template } = (data as ReturnType<typeof dataOf>).spec.template;
  return template;
}

function revisionOf(set: StatefulSet, revision: number): ControllerRevision {
  const data = dataOf(set);
  const hash = hashName([data, uidOf(set)]);
  return {
    metadata: {
      name: `${nameOf(set)}-${hash}`,
      namespace: namespaceOf(set),
      // kubectl finds them by the set's selector.
      labels: { ...set.spec?.template.metadata?.labels, 'controller.kubernetes.io/hash': hash },
      ownerReferences: [controllerReference(set, RESOURCES.statefulsets)],
    },
    data,
    revision,
  };
}
