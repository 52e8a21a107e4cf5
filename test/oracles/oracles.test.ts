import { expect, it } from 'vitest';
import { type Case, type Finding, readCases, tryCase } from './cases.ts';
import { PLAIN } from './setting.ts';

const matches = (expected: string, verdict: string): boolean =>
  expected === verdict || (expected === 'unreachable' && (verdict === 'refused' || verdict === 'timeout'));

/** What a person needs to see where a case does not hold. */
const told = (one: Case, { client, address, outcomes }: Finding): string =>
  `${one.id}: ${client} to ${address}: ${outcomes.map(({ verdict, reason, sourceSeen }) => `${verdict} (${reason}) as ${sourceSeen}`).join(', ')}`;

const CASES = [...readCases('cce'), ...readCases('ack'), ...readCases('mechanisms')];

it.each(CASES)(
  '$id $profile.network $profile.proxyMode $profile.kubernetesVersion $service $client -> $target: $expect',
  (one) => {
    for (const finding of tryCase(one, PLAIN)) {
      for (const { verdict, sourceSeen } of finding.outcomes) {
        expect(matches(one.expect, verdict), told(one, finding)).toBe(true);
        if (finding.expectedSource !== undefined)
          expect(sourceSeen?.text, told(one, finding)).toBe(finding.expectedSource);
      }
    }
  },
);
