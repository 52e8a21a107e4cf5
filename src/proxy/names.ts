import { base32, sha256 } from './sha256.ts';

/**
 * The 16 characters that kube-proxy puts behind KUBE-SVC-, KUBE-SEP- and the like: the base32 of a SHA-256, cut. Pass the
 * port's name and the protocol in lower case, and for an endpoint its `address:port`.
 */
export const hashOf = (...parts: readonly string[]): string => base32(sha256(parts.join('')).subarray(0, 10));
