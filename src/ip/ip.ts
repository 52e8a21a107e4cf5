/**
 * Addresses, prefixes, ports and endpoints as immutable values.
 *
 * Promises: a value that exists is valid; equal values have equal `text`; parsing what a value prints gives it back.
 * Refuses: zones, leading zeros, and anything inet_aton would guess at. A parse error is a Fault FE006 that quotes the input.
 *
 * @example Prefix.parse('10.0.0.0/8').contains(Addr.parse('10.1.2.3')) // true
 */
export { Addr, bitsOf, type Family } from './addr.ts';
export { Endpoint, type Port, type Protocol, parsePort, portOf } from './endpoint.ts';
export { Mac } from './mac.ts';
export { Prefix } from './prefix.ts';
