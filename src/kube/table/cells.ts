import type { LabelSelector, LabelSelectorRequirement } from 'kubernetes-types/meta/v1.js';
import type { Container, KubeObject } from '../objects.ts';
import { humanDuration } from './duration.ts';

/** What upstream prints where there is nothing to print. */
export const NONE = '<none>';
export const UNKNOWN = '<unknown>';

/** How long ago the time was, or `<unknown>` without one. */
export function sinceText(time: string | undefined, now: number): string {
  const at = time === undefined ? Number.NaN : Date.parse(time);
  return Number.isNaN(at) ? UNKNOWN : humanDuration(now - at);
}

export const ageOf = (object: KubeObject, now: number): string =>
  sinceText(object.metadata?.creationTimestamp, now);

export const nameOf = (object: KubeObject): string => object.metadata?.name ?? '';

/** `a=b,c=d`, by key. */
export function labelsText(labels: Readonly<Record<string, string>> = {}): string {
  const pairs = Object.entries(labels).sort(([left], [right]) => (left < right ? -1 : 1));
  return pairs.length === 0 ? NONE : pairs.map(([key, value]) => `${key}=${value}`).join(',');
}

/** The names and images of the containers, as two cells. */
export const containerCells = (containers: readonly Container[] = []): [string, string] => [
  containers.map(({ name = '' }) => name).join(','),
  containers.map(({ image = '' }) => image).join(','),
];

/** The first `max` of the list, and how many more there are: `a:80,b:80 + 1 more...`. */
export function shortList(all: readonly string[], max: number): string {
  const listed = all.slice(0, max).join(',');
  return all.length > max ? `${listed} + ${all.length - max} more...` : listed;
}

/** A label selector as kubectl's -l takes it: `a=b,c in (d,e),!f`. */
export function selectorText({ matchLabels = {}, matchExpressions = [] }: LabelSelector = {}): string {
  const terms = [
    ...Object.entries(matchLabels).map(([key, value]) => ({ key, text: `${key}=${value}` })),
    ...matchExpressions.map((one) => ({ key: one.key, text: requirementText(one) })),
  ];
  terms.sort((left, right) => (left.key < right.key ? -1 : left.key > right.key ? 1 : 0));
  return terms.length === 0 ? NONE : terms.map(({ text }) => text).join(',');
}

function requirementText({ key = '', operator, values = [] }: LabelSelectorRequirement): string {
  const list = `(${[...values].sort().join(',')})`;
  switch (operator) {
    case 'In':
      return `${key} in ${list}`;
    case 'NotIn':
      return `${key} notin ${list}`;
    case 'DoesNotExist':
      return `!${key}`;
    default:
      return key;
  }
}
