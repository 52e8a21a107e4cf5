import { checkFormat } from './checks.ts';
import { type FieldError, forbidden, invalid, required } from './field-error.ts';
import { labelValue, qualifiedName } from './formats.ts';

type Labels = Readonly<Record<string, string>>;

/** meta/v1 LabelSelector. */
export interface LabelSelector {
  readonly matchLabels?: Labels;
  readonly matchExpressions?: readonly Requirement[];
}

interface Requirement {
  readonly key: string;
  readonly operator: string;
  readonly values?: readonly string[];
}

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

function checkRequirement(field: string, { key, operator, values = [] }: Requirement): FieldError[] {
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

export function selectorMatches(selector: LabelSelector, labels: Labels = {}): boolean {
  return (
    Object.entries(selector.matchLabels ?? {}).every(([key, value]) => labels[key] === value) &&
    (selector.matchExpressions ?? []).every((requirement) => meets(requirement, labels))
  );
}

function meets({ key, operator, values = [] }: Requirement, labels: Labels): boolean {
  const value = labels[key];
  switch (operator) {
    case 'In':
      return value !== undefined && values.includes(value);
    case 'NotIn':
      return value === undefined || !values.includes(value);
    case 'Exists':
      return value !== undefined;
    case 'DoesNotExist':
      return value === undefined;
    default:
      return false;
  }
}
