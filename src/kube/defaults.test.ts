import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { applyDefaults, type DefaultsContext } from './defaults.ts';
import type { KubeObject, Pod, Service } from './objects.ts';
import { RESOURCES, type Resource, resourceOf } from './resources.ts';

/** Cases as YAML pairs: a manifest, then what it must become. */
const cases = readFileSync(new URL('testdata/defaults.yaml', import.meta.url), 'utf8')
  .split(/^# case: /m)
  .slice(1)
  .map((text) => {
    const [title = ''] = text.split('\n', 1);
    const [given, wanted] = parseAllDocuments(text.slice(title.length)).map((one) => one.toJS());
    return { title, given, wanted };
  });

function resourceFor(object: KubeObject): Resource {
  const found = resourceOf(object.apiVersion ?? '', object.kind ?? '');
  if (found === undefined) throw new Error(`no resource for ${object.apiVersion} ${object.kind}`);
  return found;
}

describe('defaults', () => {
  it.each(cases)('$title', ({ given, wanted }) => {
    const before = structuredClone(given);
    const once = applyDefaults(resourceFor(given), given);
    expect(once).toEqual(wanted);
    expect(applyDefaults(resourceFor(given), once)).toEqual(once);
    expect(given).toEqual(before);
  });

  it.each([
    ['nginx', 'Always'],
    ['nginx:latest', 'Always'],
    ['nginx:1.27', 'IfNotPresent'],
    ['registry:5000/nginx', 'Always'],
    ['registry:5000/nginx:1.27', 'IfNotPresent'],
    ['nginx@sha256:e3b0c442', 'IfNotPresent'],
    ['nginx:latest@sha256:e3b0c442', 'Always'],
  ])('pulls %s %s', (image, policy) => {
    const pod: Pod = { spec: { containers: [{ name: 'a', image }] } };
    expect(applyDefaults(RESOURCES.pods, pod).spec?.containers[0]?.imagePullPolicy).toBe(policy);
  });

  it('leaves tolerations of the same taints alone', () => {
    const tolerations = [{ operator: 'Exists' as const }];
    const pod: Pod = { spec: { containers: [], tolerations } };
    expect(applyDefaults(RESOURCES.pods, pod).spec?.tolerations).toEqual(tolerations);
  });
});

describe('families of a Service', () => {
  const familiesOf = (spec: Service['spec'], context?: DefaultsContext) => {
    const { ipFamilyPolicy, ipFamilies } =
      applyDefaults<Service>(RESOURCES.services, { spec: spec ?? {} }, context).spec ?? {};
    return [ipFamilyPolicy, ...(ipFamilies ?? [])].join(' ');
  };
  const dual: DefaultsContext = { serviceFamilies: ['IPv6', 'IPv4'] };

  it.each<[string, Service['spec'], DefaultsContext | undefined, string]>([
    ['the cluster has one', {}, undefined, 'SingleStack IPv4'],
    ['the cluster has two', {}, dual, 'SingleStack IPv6'],
    ['two are preferred and there', { ipFamilyPolicy: 'PreferDualStack' }, dual, 'PreferDualStack IPv6 IPv4'],
    [
      'two are preferred and not there',
      { ipFamilyPolicy: 'PreferDualStack' },
      undefined,
      'PreferDualStack IPv4',
    ],
    ['an address says which', { clusterIP: 'fd00::1' }, dual, 'SingleStack IPv6'],
    ['two addresses are given', { clusterIPs: ['10.0.0.1', 'fd00::1'] }, dual, 'SingleStack IPv4 IPv6'],
    [
      'two are asked for and not there',
      { ipFamilyPolicy: 'RequireDualStack' },
      undefined,
      'RequireDualStack IPv4',
    ],
    ['somebody else writes the endpoints', { clusterIP: 'None' }, undefined, 'RequireDualStack IPv4 IPv6'],
    ['it is headless', { clusterIP: 'None', selector: { a: 'b' } }, undefined, 'SingleStack IPv4'],
    ['it has none', { type: 'ExternalName' }, dual, ''],
  ])('when %s', (_, spec, context, wanted) => {
    expect(familiesOf(spec, context)).toBe(wanted);
  });
});
