/**
 * Flow vectors: what kube-proxy does with a connection, as data that nobody's code has written.
 *
 * data/*.yaml holds cases: a Service, its endpoints, and flows from clients to its addresses, each with what upstream's
 * semantics make of it (docs and KEPs of kube-proxy, its iptables rules as the reference). A flow stands for every
 * combination of its sources, targets, configurations, protocols and families; each combination is one vector.
 *
 * `gives` says where the connection may end: `refused` (RST or ICMP error), `silence`, or the endpoints that may answer and
 * the source they see. A case's Service has a clusterIP, a node port, a balancer's address and an external IP unless its
 * type says otherwise. Where a mode differs by design, `except` says what it gives and why; docs/vectors.md counts all of it.
 *
 * @example
 * - name: policy Local, endpoints here and elsewhere
 *   service: { externalTrafficPolicy: Local }
 *   endpoints: { near: ready, far: ready }
 *   flows:
 *     - { from: outside, to: nodePort, gives: { near: kept } }
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { parse } from 'yaml';
import type { Family, Protocol } from '../../src/ip/ip.ts';
import type { Service } from '../../src/kube/objects.ts';
import type { ProxyMode } from '../../src/proxy/proxy.ts';
import { type HostName, isPeer, type PeerName } from './bed.ts';
import { CONFIGURATIONS, type ConfigurationName } from './configurations.ts';
import { TARGETS, type Target, type TargetName, targetOf } from './objects.ts';

/** `node` dials from n1 itself, `localhost` dials n1's loopback address from there. */
export type Source = PeerName | 'node' | 'localhost';

export const ENDPOINT_STATES = {
  ready: { ready: true, serving: true, terminating: false },
  notReady: { ready: false, serving: false, terminating: false },
  /** Still answers while it ends (KEP-1669). */
  terminating: { ready: false, serving: true, terminating: true },
  stopping: { ready: false, serving: false, terminating: true },
} as const;

export interface EndpointShape {
  readonly state: keyof typeof ENDPOINT_STATES;
  /** hints.forZones and hints.forNodes. */
  readonly zones?: readonly string[];
  readonly nodes?: readonly string[];
}

/** What the endpoint sees: the client's own address, n1's, or the address that was dialled; or the packet does not come back. */
export type Seen = 'kept' | 'masqueraded' | 'target' | 'lost';
export type Given = 'refused' | 'silence' | Readonly<Partial<Record<HostName, Seen>>>;

interface Exception {
  readonly gives: Given;
  readonly because: string;
}

type OneOrMore<T> = T | readonly T[];

interface Flow {
  readonly from: OneOrMore<Source>;
  readonly to: OneOrMore<TargetName>;
  /** `nodeCIDR` unless said. */
  readonly under?: OneOrMore<ConfigurationName>;
  /** TCP and UDP unless said; but for SCTP, which not every kernel speaks, a case has flows of its own. */
  readonly protocols?: OneOrMore<Protocol>;
  /** Both unless said. */
  readonly families?: OneOrMore<Family>;
  readonly gives: Given;
  /** A client stays with the endpoint it got first. */
  readonly sticky?: boolean;
  /** What n1 says to a balancer that asks about its health, by HTTP. */
  readonly health?: { readonly status: 200 | 503; readonly localEndpoints: number };
  readonly except?: Readonly<Partial<Record<ProxyMode, Exception>>>;
}

export interface Case {
  readonly name: string;
  readonly service?: Partial<Service['spec']>;
  readonly labels?: Readonly<Record<string, string>>;
  /** Who may use the balancer's address: machines of the bed, or prefixes. */
  readonly sourceRanges?: readonly string[];
  /** Of the balancer's address; VIP unless said. */
  readonly ipMode?: 'VIP' | 'Proxy';
  readonly endpoints: Readonly<Partial<Record<HostName, EndpointShape['state'] | EndpointShape>>>;
  readonly flows: readonly Flow[];
  /** Its place in the data, which its addresses are counted by. */
  readonly number: number;
}

/** One connection and what must become of it. */
export interface Vector {
  readonly name: string;
  readonly case: Case;
  readonly configuration: ConfigurationName;
  readonly from: Source;
  readonly target: Target;
  readonly protocol: Protocol;
  readonly flow: Flow;
}

const FOLDER = join(import.meta.dirname, 'data');

/** Every vector of the data. Throws an error that names the file and the case for anything it does not know. */
export function readVectors(): readonly Vector[] {
  const cases = readdirSync(FOLDER)
    .filter((file) => file.endsWith('.yaml'))
    .sort()
    .flatMap((file) => parse(readFileSync(join(FOLDER, file), 'utf8')) as Omit<Case, 'number'>[])
    .map((one, at): Case => ({ ...one, number: at + 1 }));
  const vectors = cases.flatMap((one) => one.flows.flatMap((flow) => expand(one, flow)));
  const names = new Set<string>();
  for (const { name } of vectors) {
    if (names.has(name)) throw new Error(`two vectors are called '${name}'`);
    names.add(name);
  }
  return vectors;
}

const many = <T>(some: OneOrMore<T>): readonly T[] => (Array.isArray(some) ? some : [some as T]);

const FLOW_KEYS = ['from', 'to', 'under', 'protocols', 'families', 'gives', 'sticky', 'health', 'except'];
const EXCEPTION_KEYS = ['gives', 'because'];

/** A comma where YAML takes it for the next key would silently cut a reason short. */
function checkKeys(where: string, shape: object, known: readonly string[]): void {
  const unknown = Object.keys(shape).filter((key) => !known.includes(key));
  if (unknown.length > 0) throw new Error(`'${where}': unknown ${unknown.join(', ')}`);
}

/** That a mode differs takes a difference, and a reason. */
function checkException({ name }: Case, { gives }: Flow, exception: Exception): void {
  checkKeys(name, exception, EXCEPTION_KEYS);
  if (!exception.because) throw new Error(`'${name}': an exception without a reason`);
  if (isDeepStrictEqual(exception.gives, gives)) throw new Error(`'${name}': an exception that is none`);
}

function expand(one: Case, flow: Flow): Vector[] {
  const { from, to, under = 'nodeCIDR', protocols = ['TCP', 'UDP'], families = [4, 6] } = flow;
  const check = (known: boolean, what: string) => {
    if (!known) throw new Error(`'${one.name}': unknown ${what}`);
  };
  checkKeys(one.name, flow, FLOW_KEYS);
  for (const exception of Object.values(flow.except ?? {})) checkException(one, flow, exception);
  for (const source of many(from))
    check(isPeer(source) || source === 'node' || source === 'localhost', source);
  for (const name of many(under)) check(name in CONFIGURATIONS, name);
  for (const name of many(to)) check(TARGETS.includes(name), name);
  if (flow.health !== undefined)
    check(
      many(to).every((name) => name === 'healthCheckNodePort'),
      'health',
    );
  return many(under).flatMap((configuration) =>
    many(from).flatMap((source) =>
      many(to).flatMap((name) =>
        many(families).flatMap((family) =>
          many(protocols).map((protocol): Vector => {
            const target = targetOf(one, name, family, source === 'localhost');
            const how = `${protocol} over IPv${family}, ${configuration}`;
            return {
              name: `${one.name}: ${source} -> ${name}, ${how}`,
              case: one,
              configuration,
              from: source,
              target,
              protocol,
              flow,
            };
          }),
        ),
      ),
    ),
  );
}
