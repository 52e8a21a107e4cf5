import { Addr, bitsOf, Prefix } from '../ip/ip.ts';

/** The ranges of a Service that can be read: kube-proxy leaves a Service with another one out, and says so itself. */
export function readableRanges(texts: readonly string[]): Prefix[] {
  return texts.flatMap((text) => {
    const [address = '', length = '', ...rest] = text.trim().split('/');
    if (rest.length > 0 || !Addr.isAddr(address) || !/^\d{1,3}$/.test(length)) return [];
    const addr = Addr.parse(address);
    return Number(length) > bitsOf(addr.family) ? [] : [Prefix.of(addr, Number(length))];
  });
}
