import { describe, expect, it } from 'vitest';
import { type Manifest, parseManifests } from '../../world/from-objects/manifests.ts';
import { parseProfile } from '../../world/profile.ts';
import { CAUSE_CODES, causeEntry, isCauseCode } from '../causes/registry.ts';
import { CAUSE_FILES } from '../test-examples.ts';
import { lint } from './lint.ts';

const profileIn = (manifests: readonly Manifest[]) => {
  const found = manifests.find(({ value }) => value.kind === 'ClusterProfile');
  return found === undefined ? undefined : parseProfile(found.value);
};

const examples = CAUSE_FILES.map(({ code, name, text }) => {
  if (!isCauseCode(code)) throw new TypeError(`${name} is named after no cause`);
  const manifests = parseManifests(`${name}.yaml`, text);
  const severity = /^# lint\n# expect (\w+)$/m.exec(text)?.[1];
  return { code, severity, findings: lint(manifests, profileIn(manifests)) };
});

describe('lint of the examples of causes', () => {
  const shown = examples.filter(({ severity }) => severity !== undefined);

  it.each(shown)('$code is found in its own example', ({ code, severity, findings }) => {
    expect(findings.filter((one) => one.code === code).map((one) => one.severity)).toEqual([severity]);
  });

  it('shows every cause that manifests alone show', () => {
    const manifestOnly = CAUSE_CODES.filter((code) => causeEntry(code).shownBy === 'manifest');
    expect(shown.map(({ code }) => code)).toEqual(expect.arrayContaining(manifestOnly));
  });

  it('finds nothing else that is an error in the examples of others', () => {
    const errors = examples.flatMap(({ code, findings }) =>
      findings
        .filter((one) => one.severity === 'error' && one.code !== code)
        .map((one) => `${code}: ${one.code}`),
    );
    expect(errors).toEqual([]);
  });
});
