/** Taints of nodes and the tolerations of pods that answer them. */
import type { Node, PodSpec } from '../objects.ts';
import { checkFormat, checkOneOf } from './checks.ts';
import { duplicate, type FieldError, forbidden, invalid, notSupported } from './field-error.ts';
import { labelValue, qualifiedName } from './formats.ts';
import { same } from './same.ts';

const EFFECTS = ['NoSchedule', 'PreferNoSchedule', 'NoExecute'];

type Tolerations = NonNullable<PodSpec['tolerations']>;
type Toleration = Tolerations[number];
type Taints = NonNullable<NonNullable<Node['spec']>['taints']>;

export function checkTolerations(field: string, tolerations: Readonly<Tolerations> = []): FieldError[] {
  return tolerations.flatMap((toleration, at) => {
    const path = `${field}[${at}]`;
    const { key = '', effect = '' } = toleration;
    const errors = key === '' ? [] : checkFormat(`${path}.key`, key, qualifiedName);
    if (key === '' && toleration.operator !== 'Exists') {
      errors.push(
        invalid(
          `${path}.operator`,
          toleration.operator ?? '',
          'operator must be Exists when `key` is empty, which means "match all values and all keys"',
        ),
      );
    }
    if (toleration.tolerationSeconds !== undefined && effect !== 'NoExecute') {
      errors.push(
        invalid(`${path}.effect`, effect, "effect must be 'NoExecute' when `tolerationSeconds` is set"),
      );
    }
    errors.push(...checkOperator(`${path}.operator`, toleration));
    if (effect !== '') errors.push(...checkOneOf(`${path}.effect`, effect, EFFECTS));
    return errors;
  });
}

/** Upstream reports a bad value at the operator. */
function checkOperator(field: string, { operator = '', value = '' }: Toleration): FieldError[] {
  if (operator === 'Exists') {
    return value === '' ? [] : [invalid(field, value, "value must be empty when `operator` is 'Exists'")];
  }
  if (operator !== 'Equal' && operator !== '') return [notSupported(field, operator, ['Equal', 'Exists'])];
  const wrong = labelValue(value);
  return wrong.length === 0 ? [] : [invalid(field, value, wrong.join(';'))];
}

/** A running pod may tolerate more or longer, not less. */
export function checkOnlyAddedTolerations(
  field: string,
  now: Readonly<Tolerations> = [],
  before: Readonly<Tolerations> = [],
): FieldError[] {
  const untimed = ({ tolerationSeconds: _, ...rest }: Toleration) => rest;
  const kept = before.every((old) => now.some((one) => same(untimed(one), untimed(old))));
  return kept
    ? []
    : [forbidden(field, 'existing toleration can not be modified except its tolerationSeconds')];
}

/** Upstream says `metadata.taints`, although they stand in the spec. */
export function checkTaints(field: string, taints: Readonly<Taints> = []): FieldError[] {
  const seen = new Set<string>();
  return taints.flatMap((taint, at) => {
    const path = `${field}[${at}]`;
    const { key, effect, value = '' } = taint;
    const wrong = labelValue(value);
    const errors = [
      ...checkFormat(`${path}.key`, key ?? '', qualifiedName),
      ...(wrong.length === 0 ? [] : [invalid(`${path}.value`, value, wrong.join(';'))]),
      ...checkOneOf(`${path}.effect`, effect, EFFECTS),
    ];
    const pair = `${effect}/${key}`;
    if (seen.has(pair)) {
      errors.push({
        ...duplicate(path, taint),
        detail: 'taints must be unique by key and effect pair',
      });
    }
    seen.add(pair);
    return errors;
  });
}
