import type { Pod } from '../../kube/objects.ts';
import type { Verdict, WalkRequest } from '../../trace/trace.ts';
import type { ProfileSpec } from '../../world/profile.ts';
import type { World } from '../../world/world.ts';
import type { Situation } from '../recognise/situation.ts';

/** A change that was tried on a copy of the cluster, and helps. */
export interface Fix {
  readonly title: string;
  readonly patch: Patch;
  /** What becomes of the same client's connection then. */
  readonly verdictAfter: Verdict | 'mixed';
  /** What is paid for it, each a sentence; empty if nothing is. */
  readonly costs: readonly string[];
  /** What to type, where one command does it. */
  readonly command?: string;
}

/** One of: another address to dial, a rule to delete, changes of objects, changes of the profile. */
export type Patch =
  | { readonly dial: string }
  | { readonly rule: RulePatch }
  | { readonly objects: readonly ObjectPatch[] }
  | { readonly profile: ProfileSpec };

/** A rule that was read from a node, and is not there any more. */
export interface RulePatch {
  readonly host: string;
  /** `file:line` */
  readonly place: string;
  /** What deletes it there, where its text is enough for that. */
  readonly command?: string;
}

export interface ObjectPatch {
  /** `service/default/web`. */
  readonly object: string;
  /** A JSON merge patch (RFC 7396). */
  readonly merge: JsonObject;
}

export type JsonValue = string | number | boolean | null | readonly JsonValue[] | JsonObject;
export interface JsonObject {
  readonly [key: string]: JsonValue;
}

/** What is tried: how the copy differs, and how that is told. */
export interface Attempt {
  readonly title: string;
  readonly patch: Patch;
  readonly costs: readonly string[];
  /** What is changed in the copy where the patch alone does not say it: pods are made by workloads. */
  readonly stands?: Stands;
  /** With {@link Patch.dial}. */
  readonly request?: WalkRequest;
  /** The World without the {@link Patch.rule}. */
  readonly world?: World;
}

/** Pods as a workload would place them after the change. */
export interface Stands {
  readonly pods: readonly Pod[];
}

/** What might cure a case; whether it does is found out by walking. */
export type Candidate = (situation: Situation) => Iterable<Attempt>;
