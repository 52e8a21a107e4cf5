/** Nodes: what the network depends on (podCIDR, addresses) and taints. */
import type { Node } from '../objects.ts';
import { checkPrefix, familyOf } from './checks.ts';
import { checkQuantity } from './container.ts';
import { duplicate, type FieldError, forbidden, invalid } from './field-error.ts';
import { checkTaints } from './taints.ts';

const ONCE = (what: string): string => `node updates may not change ${what} except from "" to valid`;

export function checkNode(node: Node): FieldError[] {
  return [
    ...checkTaints('metadata.taints', node.spec?.taints),
    ...checkAmounts(node),
    ...checkPodCIDRs(node),
  ];
}

function checkAmounts(node: Node): FieldError[] {
  return (['capacity', 'allocatable'] as const).flatMap((key) =>
    Object.entries(node.status?.[key] ?? {}).flatMap(([name, value]) =>
      checkQuantity(`status.${key}.${name}`, value),
    ),
  );
}

function checkPodCIDRs(node: Node): FieldError[] {
  const { podCIDR = '', podCIDRs = [] } = node.spec ?? {};
  const field = 'spec.podCIDRs';
  // podCIDR alone is what older writers set; defaulting copies it.
  const ranges = podCIDRs.length === 0 && podCIDR !== '' ? [podCIDR] : podCIDRs;
  const errors = ranges.flatMap((range, at) => checkPrefix(`${field}[${at}]`, range));
  if (podCIDRs.length > 0 && podCIDR !== '' && podCIDRs[0] !== podCIDR) {
    errors.push(invalid(field, podCIDRs, 'first value must match `podCIDR`'));
  }
  if (errors.length > 0 || ranges.length < 2) return errors;
  if (new Set(ranges.map(familyOf)).size < ranges.length) {
    errors.push(invalid(field, ranges, 'may specify no more than one CIDR for each IP family'));
  }
  for (const [at, range] of ranges.entries()) {
    if (ranges.indexOf(range) < at) errors.push(duplicate(`${field}[${at}]`, range));
  }
  return errors;
}

/** A node keeps its pod range and its identity at the cloud for life: routes hang on them. */
export function checkNodeUpdate(node: Node, old: Node): FieldError[] {
  const errors = [...checkTaints('metadata.taints', node.spec?.taints), ...checkAmounts(node)];
  const seen = new Set<string>();
  for (const [at, address] of (node.status?.addresses ?? []).entries()) {
    const key = `${address.type} ${address.address}`;
    if (seen.has(key)) errors.push(duplicate(`status.addresses[${at}]`, address));
    seen.add(key);
  }
  const before = old.spec?.podCIDRs ?? [];
  const after = node.spec?.podCIDRs ?? [];
  if (before.length === 0) errors.push(...checkPodCIDRs(node));
  else if (before.length !== after.length || before.some((range, at) => range !== after[at])) {
    errors.push(forbidden('spec.podCIDRs', ONCE('podCIDR')));
  }
  const id = old.spec?.providerID ?? '';
  if (id !== '' && id !== node.spec?.providerID) {
    errors.push(forbidden('spec.providerID', ONCE('providerID')));
  }
  return errors;
}
