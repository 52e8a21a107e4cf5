/**
 * The packet walk: what becomes of a connection in a {@link World}, and which rule, route or table made it so.
 *
 * Promises: it takes the Linux packet path hook by hook, runs the very rule trees the lab loads, and follows the answer
 * back through the connection tracking that the request left behind. Random balancing forks the walk; probabilities add up
 * to 1. The same World gives the same answer.
 * Refuses: to guess. A match, target or way that is not modelled ends in the verdict `unknown` and is named. Time is not
 * modelled: timeouts, rate limits and what earlier connections left behind are none of its matter, so session affinity
 * chooses as it does for a client's first connection. A process answers from the address it was asked at; a next hop that
 * nobody has is silence (the kernel says so after three seconds).
 *
 * @example
 * walk(world, { from: 'default/near', to: Addr.parse('10.247.0.10'), port: portOf(80), protocol: 'TCP' })
 *   .map(({ verdict, sourceSeen }) => `${verdict} as ${sourceSeen}`); // ['reached as 172.16.1.11']
 */
export type { Weigh } from './choices.ts';
export { type ExecuteRequest, type Execution, execute } from './execute.ts';
export * from './outcome.ts';
export { walk } from './walk.ts';
