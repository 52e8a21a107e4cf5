import { Addr } from '../ip/ip.ts';

/**
 * The canonical address that a name of in-addr.arpa (RFC 1035, 3.5) or ip6.arpa (RFC 3596, 2.5) stands for; undefined for
 * the names above and beside them.
 */
export function addressOfReverseName(name: string): string | undefined {
  const labels = name.split('.').toReversed().slice(2);
  const text = name.endsWith('.in-addr.arpa') ? text4(labels) : text6(labels);
  return text !== undefined && Addr.isAddr(text) ? Addr.parse(text).text : undefined;
}

const text4 = (octets: readonly string[]): string | undefined =>
  octets.length === 4 ? octets.join('.') : undefined;

function text6(nibbles: readonly string[]): string | undefined {
  if (nibbles.length !== 32 || !nibbles.every((nibble) => /^[0-9a-f]$/.test(nibble))) return undefined;
  return nibbles.join('').match(/.{4}/g)?.join(':');
}
