/** Checks of one value at one field, which the validators of the kinds are put together from. */
import { Addr, type Family, Prefix } from '../../ip/ip.ts';
import { type FieldError, invalid, notSupported, required } from './field-error.ts';
import { type Format, portName, portNumber } from './formats.ts';

/** One error a message of the format. A string left out is the empty one, as it is to Go. */
export const checkFormat = (field: string, value: string | undefined, format: Format): FieldError[] =>
  format(value ?? '').map((message) => invalid(field, value ?? '', message));

/** Like {@link checkFormat}, for a field that may be left out. */
export const checkOptionalFormat = (
  field: string,
  value: string | undefined,
  format: Format,
): FieldError[] => (value === undefined || value === '' ? [] : checkFormat(field, value, format));

/** A value that must be there and be one of `supported`. */
export function checkOneOf(
  field: string,
  value: string | undefined,
  supported: readonly string[],
): FieldError[] {
  if (value === undefined || value === '') return [required(field)];
  return supported.includes(value) ? [] : [notSupported(field, value, supported)];
}

export const checkNotNegative = (field: string, value: number | undefined): FieldError[] =>
  value !== undefined && value < 0 ? [invalid(field, value, 'must be greater than or equal to 0')] : [];

export const checkPortNumber = (field: string, value: number): FieldError[] =>
  portNumber(value).map((message) => invalid(field, value, message));

/** An IntOrString: a port number, or the name of a container port. */
export const checkPort = (field: string, value: number | string): FieldError[] =>
  typeof value === 'number' ? checkPortNumber(field, value) : checkFormat(field, value, portName);

/** In the order upstream lists them, which is the alphabet's. */
const PROTOCOLS = ['SCTP', 'TCP', 'UDP'];

export const checkProtocol = (field: string, value: string | undefined): FieldError[] =>
  checkOneOf(field, value, PROTOCOLS);

/**
 * An IP address. Leading zeros are refused although 1.33 still takes them in old fields: what they mean differs between
 * programs (KEP-4858), and an address that two readers read differently has no trace.
 */
export function checkAddress(field: string, value: string): FieldError[] {
  if (Addr.isAddr(value)) return [];
  return /^\d+(\.\d+){3}$/.test(value) && Addr.isAddr(value.replace(/\b0+(?=\d)/g, ''))
    ? [invalid(field, value, 'must not have leading 0s')]
    : [invalid(field, value, 'must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)')];
}

/** An address prefix; bits beyond its length are ignored, as 1.33 does. */
export const checkPrefix = (field: string, value: string): FieldError[] =>
  isPrefix(value)
    ? []
    : [invalid(field, value, 'must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)')];

function isPrefix(value: string): boolean {
  const [addr = '', length = '', ...rest] = value.split('/');
  if (rest.length > 0 || !Addr.isAddr(addr) || !/^(0|[1-9]\d{0,2})$/.test(length)) return false;
  return Number(length) <= (addr.includes(':') ? 128 : 32);
}

/** The family of a text that is an address or prefix; undefined if it is neither. */
export function familyOf(value: string): Family | undefined {
  if (Addr.isAddr(value)) return Addr.parse(value).family;
  return isPrefix(value) ? Prefix.parse(value).family : undefined;
}

/** Addresses that mean something else on every node cannot be an endpoint or an external IP. */
export function checkNotSpecialAddress(field: string, value: string): FieldError[] {
  if (!Addr.isAddr(value)) return [invalid(field, value, 'must be a valid IP address')];
  const addr = Addr.parse(value);
  const errors: FieldError[] = [];
  if (addr.isUnspecified) errors.push(invalid(field, value, `may not be unspecified (${value})`));
  if (addr.isLoopback) {
    errors.push(invalid(field, value, 'may not be in the loopback range (127.0.0.0/8, ::1/128)'));
  }
  if (addr.isLinkLocal) {
    errors.push(invalid(field, value, 'may not be in the link-local range (169.254.0.0/16, fe80::/10)'));
  }
  if (isLinkLocalMulticast(addr)) {
    errors.push(
      invalid(field, value, 'may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)'),
    );
  }
  return errors;
}

/** 224.0.0.0/24 (RFC 5771) and the link-local scope of IPv6 multicast, ffx2::/16 (RFC 4291). */
const isLinkLocalMulticast = (addr: Addr): boolean =>
  addr.family === 4
    ? addr.value >> 8n === 0xe00000n
    : addr.isMulticast && ((addr.value >> 112n) & 0xfn) === 2n;
