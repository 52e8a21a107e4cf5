/**
 * The formats of names and values (k8s.io/apimachinery/pkg/util/validation). Each function returns what is wrong, one
 * message each; no message means the value is well formed.
 */
export type Format = (value: string) => readonly string[];

const LABEL_1123 = '[a-z0-9]([-a-z0-9]*[a-z0-9])?';
const SUBDOMAIN_1123 = `${LABEL_1123}(\\.${LABEL_1123})*`;
const LABEL_1035 = '[a-z]([-a-z0-9]*[a-z0-9])?';
const QUALIFIED_NAME = '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]';
const LABEL_VALUE = `(${QUALIFIED_NAME})?`;
const CONFIG_KEY = '[-._a-zA-Z0-9]+';
const HTTP_HEADER = '[-A-Za-z0-9]+';
const PERCENT = '[0-9]+%';

const whole = (pattern: string): RegExp => new RegExp(`^(?:${pattern})$`);

const PATTERNS = {
  label1123: whole(LABEL_1123),
  subdomain1123: whole(SUBDOMAIN_1123),
  label1035: whole(LABEL_1035),
  qualifiedName: whole(QUALIFIED_NAME),
  labelValue: whole(LABEL_VALUE),
  configKey: whole(CONFIG_KEY),
  httpHeader: whole(HTTP_HEADER),
  percent: whole(PERCENT),
};

/** `… (e.g. 'my-name',  or '123-abc', regex used for validation is '…')`: upstream's commas, kept as they are. */
function regexMessage(what: string, pattern: string, ...examples: string[]): string {
  return `${what} (e.g. ${examples.map((one) => `'${one}', `).join(' or ')}regex used for validation is '${pattern}')`;
}

const lengthMessage = (max: number): string => `must be no more than ${max} characters`;

export const rangeMessage = (low: number, high: number): string =>
  `must be between ${low} and ${high}, inclusive`;

/** Upstream counts bytes, as Go strings do. */
export const bytesOf = (text: string): number => new TextEncoder().encode(text).length;

const tooLongFor = (value: string, max: number): string[] =>
  bytesOf(value) > max ? [lengthMessage(max)] : [];

export const dns1123Label: Format = (value) => {
  const errors = tooLongFor(value, 63);
  if (PATTERNS.label1123.test(value)) return errors;
  if (PATTERNS.subdomain1123.test(value)) return [...errors, 'must not contain dots'];
  return [
    ...errors,
    regexMessage(
      "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character",
      LABEL_1123,
      'my-name',
      '123-abc',
    ),
  ];
};

export const dns1123Subdomain: Format = (value) => {
  const errors = tooLongFor(value, 253);
  if (PATTERNS.subdomain1123.test(value)) return errors;
  return [
    ...errors,
    regexMessage(
      "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character",
      SUBDOMAIN_1123,
      'example.com',
    ),
  ];
};

/** Service names: they become a label of a host name, which RFC 1035 lets begin with a letter only. */
export const dns1035Label: Format = (value) => {
  const errors = tooLongFor(value, 63);
  if (PATTERNS.label1035.test(value)) return errors;
  return [
    ...errors,
    regexMessage(
      "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character",
      LABEL_1035,
      'my-name',
      'abc-123',
    ),
  ];
};

const QUALIFIED_NAME_MESSAGE = regexMessage(
  "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character",
  QUALIFIED_NAME,
  'MyName',
  'my.name',
  '123-abc',
);

/** Label keys, finalizers, load balancer classes: `name` or `example.com/name`. */
export const qualifiedName: Format = (value) => {
  const parts = value.split('/');
  const [name, prefix] = parts.reverse();
  if (name === undefined || parts.length > 2) {
    return [
      `a qualified name ${QUALIFIED_NAME_MESSAGE} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')`,
    ];
  }
  const errors: string[] = [];
  if (prefix === '') errors.push('prefix part must be non-empty');
  else if (prefix !== undefined)
    errors.push(...dns1123Subdomain(prefix).map((error) => `prefix part ${error}`));
  if (name === '') errors.push('name part must be non-empty');
  else errors.push(...tooLongFor(name, 63).map((error) => `name part ${error}`));
  if (!PATTERNS.qualifiedName.test(name)) errors.push(`name part ${QUALIFIED_NAME_MESSAGE}`);
  return errors;
};

export const labelValue: Format = (value) => {
  const errors = tooLongFor(value, 63);
  if (PATTERNS.labelValue.test(value)) return errors;
  return [
    ...errors,
    regexMessage(
      "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character",
      LABEL_VALUE,
      'MyValue',
      'my_value',
      '12345',
    ),
  ];
};

/** Keys of ConfigMaps and Secrets, which become file names. */
export const configKey: Format = (value) => {
  const errors = tooLongFor(value, 253);
  if (!PATTERNS.configKey.test(value)) {
    errors.push(
      regexMessage(
        "a valid config key must consist of alphanumeric characters, '-', '_' or '.'",
        CONFIG_KEY,
        'key.name',
        'KEY_NAME',
        'key-name',
      ),
    );
  }
  if (value === '.') errors.push("must not be '.'");
  else if (value === '..') errors.push("must not be '..'");
  else if (value.startsWith('..')) errors.push("must not start with '..'");
  return errors;
};

/** IANA service names (RFC 6335 §5.1), which name container ports. */
export const portName: Format = (value) => {
  const errors = tooLongFor(value, 15);
  if (!/^[-a-z0-9]+$/.test(value)) {
    errors.push('must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)');
  }
  if (!/[a-z]/.test(value)) errors.push('must contain at least one letter (a-z)');
  if (value.includes('--')) errors.push('must not contain consecutive hyphens');
  if (/^-|-$/.test(value)) errors.push('must not begin or end with a hyphen');
  return errors;
};

/** Since 1.32 any printable ASCII but `=` (KEP-4369). */
export const environmentName: Format = (value) => {
  if (value === '') return ['environment variable name must be non-empty'];
  return /^[\x20-\x3c\x3e-\x7e]*$/.test(value)
    ? []
    : ["a valid environment variable name must consist only of printable ASCII characters other than '='"];
};

export const httpHeaderName: Format = (value) =>
  PATTERNS.httpHeader.test(value)
    ? []
    : [
        regexMessage(
          "a valid HTTP header must consist of alphanumeric characters or '-'",
          HTTP_HEADER,
          'X-Header-Name',
        ),
      ];

export const percent: Format = (value) =>
  PATTERNS.percent.test(value)
    ? []
    : [
        regexMessage(
          "a valid percent string must be a numeric string followed by an ending '%'",
          PERCENT,
          '1%',
          '93%',
        ),
      ];

/** What is wrong with a port number. */
export const portNumber = (value: number): readonly string[] =>
  Number.isInteger(value) && value >= 1 && value <= 65535 ? [] : [rangeMessage(1, 65535)];
