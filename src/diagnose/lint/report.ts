import { CAUSE_CODES, causeEntry } from '../causes/registry.ts';
import { type Finding, type Severity, splitPlace } from './lint.ts';

/** One finding a block: place, severity, code, object and message on a line, the cure below it. */
export function lintText(findings: readonly Finding[]): string {
  const blocks = findings.map(
    ({ place, severity, code, object, message, cure }) =>
      `${place === '' ? '' : `${place}: `}${severity} ${code} ${object}: ${message}\n    ${cure}\n`,
  );
  return blocks.join('');
}

/** Shape: `{"findings": [{"code", "severity", "object", "file", "line", "message", "cure"}]}`. */
export function lintJson(findings: readonly Finding[]): string {
  const plain = findings.map(({ place, ...rest }) => {
    const [file, line] = splitPlace(place);
    return { ...rest, ...(place === '' ? {} : { file, line }) };
  });
  return `${JSON.stringify({ findings: plain }, null, 2)}\n`;
}

const LEVELS: Readonly<Record<Severity, string>> = { error: 'error', warning: 'warning', note: 'note' };

/**
 * SARIF 2.1.0 (OASIS), as code hosts take it. Rules are the whole registry, so that an index in it keeps its meaning
 * between runs.
 */
export function lintSarif(findings: readonly Finding[]): string {
  const log = {
    $schema: 'https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json',
    version: '2.1.0',
    runs: [
      {
        tool: { driver: { name: 'fairlead', rules: CAUSE_CODES.map(sarifRule) } },
        columnKind: 'utf16CodeUnits',
        results: findings.map(sarifResult),
      },
    ],
  };
  return `${JSON.stringify(log, null, 2)}\n`;
}

function sarifRule(code: (typeof CAUSE_CODES)[number]) {
  const { name, title, explanation } = causeEntry(code);
  return {
    id: code,
    name,
    shortDescription: { text: title },
    fullDescription: { text: explanation },
    help: { text: `fairlead explain ${code}` },
  };
}

function sarifResult({ code, severity, object, place, message, cure }: Finding) {
  const [file, line] = splitPlace(place);
  return {
    ruleId: code,
    ruleIndex: CAUSE_CODES.indexOf(code),
    level: LEVELS[severity],
    message: { text: `${object}: ${message}. Cure: ${cure}.` },
    locations: [
      {
        ...(place === ''
          ? {}
          : {
              physicalLocation: {
                artifactLocation: { uri: encodeURI(file) },
                region: { startLine: Math.max(line, 1) },
              },
            }),
        logicalLocations: [{ fullyQualifiedName: object, kind: 'object' }],
      },
    ],
  };
}
