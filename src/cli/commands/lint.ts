import { type Finding, lint, type Severity } from '../../diagnose/lint/lint.ts';
import { lintJson, lintSarif, lintText } from '../../diagnose/lint/report.ts';
import { chooseProfile, inventoryOf, type Manifest } from '../../world/from-objects/from-objects.ts';
import type { ClusterProfile } from '../../world/profile.ts';
import { EXIT } from '../exit.ts';
import { fitted } from '../fitted.ts';
import { readManifests } from '../manifest-files.ts';

export interface LintOptions {
  readonly filename: readonly string[];
  readonly profile?: string;
  readonly set?: Readonly<Record<string, string>>;
  readonly least: Severity;
  readonly output: 'text' | 'json' | 'sarif';
}

const RANKS: Readonly<Record<Severity, number>> = { note: 0, warning: 1, error: 2 };
const PRINTERS = { text: lintText, json: lintJson, sarif: lintSarif } as const;

/** Prints what is risky in manifests; exit code 2 if anything is. */
export function lintCommand(options: LintOptions): void {
  const findings = lintFiles(options);
  const text = PRINTERS[options.output](findings);
  process.stdout.write(options.output === 'text' ? fitted(text, process.stdout) : text);
  if (options.output === 'text') process.stderr.write(summaryOf(findings));
  if (findings.length > 0) process.exitCode = EXIT.finding;
}

/** Throws {@link Fault} FE006 for what cannot be read. */
export function lintFiles(options: Omit<LintOptions, 'output'>): Finding[] {
  const manifests = readManifests(options.filename);
  const findings = lint(manifests, profileFor(manifests, options));
  return findings.filter(({ severity }) => RANKS[severity] >= RANKS[options.least]);
}

/** None where nobody says what the cluster is: rules then take it for any. */
function profileFor(
  manifests: readonly Manifest[],
  { profile, set }: Pick<LintOptions, 'profile' | 'set'>,
): ClusterProfile | undefined {
  const inventory = inventoryOf(
    manifests.filter(({ value }) => value.kind === 'ClusterProfile'),
    'default',
  );
  if (inventory.profiles.length === 0 && profile === undefined && set === undefined) return undefined;
  return chooseProfile(inventory, {
    ...(profile === undefined ? {} : { profile }),
    ...(set === undefined ? {} : { set }),
  });
}

function summaryOf(findings: readonly Finding[]): string {
  if (findings.length === 0) return 'nothing found\n';
  const count = (severity: Severity) => findings.filter((one) => one.severity === severity).length;
  const parts = (['error', 'warning', 'note'] as const)
    .map((severity) => [count(severity), severity] as const)
    .filter(([many]) => many > 0)
    .map(([many, severity]) => `${many} ${severity}${many === 1 ? '' : 's'}`);
  return `${parts.join(', ')}; 'fairlead explain CODE' says more\n`;
}
