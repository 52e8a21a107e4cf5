import type { LabelSelector, LabelSelectorRequirement } from 'kubernetes-types/meta/v1.js';
import { checkFormat } from './checks.ts';
import { type FieldError, forbidden, invalid, required } from './field-error.ts';
import { labelValue, qualifiedName } from './formats.ts';

type Labels = Readonly<Record<string, string>>;

/** Upstream reports bad keys and values alike at the map itself. */
export function checkLabels(field: string, labels: Labels = {}): FieldError[] {
  return Object.entries(labels).flatMap(([key, value]) => [
    ...checkFormat(field, key, qualifiedName),
    ...checkFormat(field, value, labelValue),
  ]);
}

export function checkLabelSelector(field: string, selector: LabelSelector): FieldError[] {
  return [
    ...checkLabels(`${field}.matchLabels`, selector.matchLabels),
    ...(selector.matchExpressions ?? []).flatMap((requirement, at) =>
      checkRequirement(`${field}.matchExpressions[${at}]`, requirement),
    ),
  ];
}

function checkRequirement(
  field: string,
  { key, operator, values = [] }: LabelSelectorRequirement,
): FieldError[] {
  const errors: FieldError[] = [];
  if (operator === 'In' || operator === 'NotIn') {
    if (values.length === 0) {
      errors.push(required(`${field}.values`, "must be specified when `operator` is 'In' or 'NotIn'"));
    }
  } else if (operator === 'Exists' || operator === 'DoesNotExist') {
    if (values.length > 0) {
      errors.push(
        forbidden(`${field}.values`, "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"),
      );
    }
  } else errors.push(invalid(`${field}.operator`, operator, 'not a valid selector operator'));
  return [
    ...errors,
    ...checkFormat(`${field}.key`, key, qualifiedName),
    ...values.flatMap((value, at) => checkFormat(`${field}.values[${at}]`, value, labelValue)),
  ];
}

/** A selector that asks for nothing, which matches every pod. */
export const isEmptySelector = (selector: LabelSelector): boolean =>
  Object.keys(selector.matchLabels ?? {}).length + (selector.matchExpressions ?? []).length === 0;
