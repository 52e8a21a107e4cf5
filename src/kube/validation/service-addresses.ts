/** Cluster IPs and IP families of Services: what goes together, and what may be added or released (KEP-563). */
import type { IPFamily } from '../defaults.ts';
import type { Service } from '../objects.ts';
import { dualStackNotConfigured, familyNotConfigured } from './allocation.ts';
import { checkAddress, checkOneOf, familyOf } from './checks.ts';
import { duplicate, type FieldError, invalid, notSupported, required } from './field-error.ts';

type Spec = NonNullable<Service['spec']>;

const FIELD = 'spec.clusterIPs';
const ONCE = 'may not change once set';
const FAMILIES = ['IPv4', 'IPv6'];
const FAMILY_POLICIES = ['PreferDualStack', 'RequireDualStack', 'SingleStack'];

const headless = (spec: Spec): boolean => spec.clusterIPs?.length === 1 && spec.clusterIPs[0] === 'None';

/** clusterIP and clusterIPs agree, are addresses, and are of the families asked for. */
export function checkClusterIPs(spec: Spec): FieldError[] {
  if (spec.type === 'ExternalName') return [];
  const { clusterIP = '', clusterIPs = [] } = spec;
  const errors: FieldError[] = [];
  if (clusterIP === '') {
    if (clusterIPs.length > 0) {
      errors.push(invalid(FIELD, clusterIPs, 'must be empty when `clusterIP` is not specified'));
    }
  } else if (clusterIPs.length === 0) errors.push(required(FIELD));
  else if (clusterIPs[0] !== clusterIP) {
    errors.push(invalid(FIELD, clusterIPs, 'first value must match `clusterIP`'));
  }
  errors.push(...checkFamilyFields(spec));
  const malformed = checkEach(clusterIPs);
  if (clusterIPs.length > 2) malformed.push(invalid(FIELD, clusterIPs, 'may only hold up to 2 values'));
  // Families of what is no address would only add noise.
  if (malformed.length > 0) return [...errors, ...malformed];
  return [...errors, ...checkFamiliesMatch(spec)];
}

function checkFamilyFields(spec: Spec): FieldError[] {
  const seen = new Set<string>();
  const errors = (spec.ipFamilies ?? []).flatMap((family, at) => {
    const field = `spec.ipFamilies[${at}]`;
    const wrong = FAMILIES.includes(family) ? [] : [notSupported(field, family, FAMILIES)];
    const twice = seen.has(family) ? [duplicate(field, family)] : [];
    seen.add(family);
    return [...wrong, ...twice];
  });
  return spec.ipFamilyPolicy === undefined
    ? errors
    : [
        ...errors,
        ...checkOneOf('spec.ipFamilyPolicy', spec.ipFamilyPolicy, FAMILY_POLICIES),
        ...checkSingleStack(spec),
      ];
}

/** Two of anything is dual-stack, which has to be said. */
function checkSingleStack({ ipFamilyPolicy, clusterIPs = [], ipFamilies = [] }: Spec): FieldError[] {
  if (ipFamilyPolicy !== 'SingleStack') return [];
  const tooMany = (what: string): FieldError =>
    invalid(
      'spec.ipFamilyPolicy',
      ipFamilyPolicy,
      `must be 'RequireDualStack' or 'PreferDualStack' when multiple ${what} are specified`,
    );
  return [
    ...(clusterIPs.length === 2 ? [tooMany('cluster IPs')] : []),
    ...(ipFamilies.length === 2 ? [tooMany('IP families')] : []),
  ];
}

function checkEach(clusterIPs: readonly string[]): FieldError[] {
  return clusterIPs.flatMap((address, at) => {
    if (at > 0 || address !== 'None') return checkAddress(`${FIELD}[${at}]`, address);
    return clusterIPs.length > 1
      ? [invalid(FIELD, clusterIPs, "'None' must be the first and only value")]
      : [];
  });
}

function checkFamiliesMatch(spec: Spec): FieldError[] {
  const { clusterIPs = [], ipFamilies = [] } = spec;
  const errors: FieldError[] = [];
  if (clusterIPs.length > 1 && new Set(clusterIPs.map(familyOf)).size < clusterIPs.length) {
    errors.push(invalid(FIELD, clusterIPs, 'may specify no more than one IP for each IP family'));
  }
  if (headless(spec)) return errors;
  for (const [at, address] of clusterIPs.entries()) {
    const wanted = ipFamilies[at];
    if (wanted !== undefined && FAMILIES.includes(wanted) && wanted !== `IPv${familyOf(address)}`) {
      errors.push(
        invalid(
          `${FIELD}[${at}]`,
          address,
          `expected an ${wanted} value as indicated by \`ipFamilies[${at}]\``,
        ),
      );
    }
  }
  return errors;
}

/** What the cluster's service ranges allow. Headless Services without a selector may ask for any family. */
export function checkServiceFamilies(spec: Spec, families?: readonly IPFamily[]): FieldError[] {
  const free = headless(spec) && Object.keys(spec.selector ?? {}).length === 0;
  if (families === undefined || spec.type === 'ExternalName' || free) return [];
  const errors = (spec.ipFamilies ?? []).flatMap((family, at) =>
    FAMILIES.includes(family) && !families.some((one) => one === family)
      ? [familyNotConfigured(family, at)]
      : [],
  );
  if (spec.ipFamilyPolicy === 'RequireDualStack' && families.length < 2) {
    errors.push(dualStackNotConfigured());
  }
  return errors;
}

/** A second address may come and go; the first stays as long as the Service has one. */
export function checkClusterIPsUpdate(now: Spec, old: Spec): FieldError[] {
  if (now.type === 'ExternalName' || old.type === 'ExternalName') return [];
  if (headless(now) && headless(old)) return [];
  const [after, before] = [now.clusterIPs ?? [], old.clusterIPs ?? []];
  if (after.length === before.length) {
    return before.flatMap((address, at) =>
      address === after[at] ? [] : [invalid(`${FIELD}[${at}]`, after, ONCE)],
    );
  }
  if (after.length === 0) return [invalid(`${FIELD}[0]`, after, 'primary clusterIP can not be unset')];
  const errors = before.length > 0 && after[0] !== before[0] ? [invalid(`${FIELD}[0]`, after, ONCE)] : [];
  return before.length > after.length ? [...errors, ...checkReleased(now, 'clusterIP')] : errors;
}

export function checkFamiliesUpdate(now: Spec, old: Spec): FieldError[] {
  if (now.type === 'ExternalName' || old.type === 'ExternalName') return [];
  if (headless(now) || headless(old)) return [];
  const [after, before] = [now.ipFamilies ?? [], old.ipFamilies ?? []];
  const field = 'spec.ipFamilies[0]';
  if (after.length === before.length) {
    return before.flatMap((family, at) => (family === after[at] ? [] : [invalid(field, after, ONCE)]));
  }
  if (after.length === 0) return [invalid(field, after, 'primary ipFamily can not be unset')];
  const errors = before.length > 0 && after[0] !== before[0] ? [invalid(field, after, ONCE)] : [];
  return before.length > after.length ? [...errors, ...checkReleased(now, 'ipFamily')] : errors;
}

const checkReleased = (now: Spec, what: string): FieldError[] =>
  now.ipFamilyPolicy === 'SingleStack'
    ? []
    : [
        invalid(
          'spec.ipFamilyPolicy',
          now.ipFamilyPolicy,
          `must be set to 'SingleStack' when releasing the secondary ${what}`,
        ),
      ];
