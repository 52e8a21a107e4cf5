import { readFileSync } from 'node:fs';
import { Addr, portOf } from '../../src/ip/ip.ts';
import { type Outcome, walk } from '../../src/trace/trace.ts';
import type { Cluster } from '../../src/world/from-objects/from-objects.ts';
import {
  addressesOf,
  BALANCER,
  type CaseProfile,
  clientOn,
  clusterOf,
  type ServiceShape,
  type Setting,
} from './setting.ts';

/** One line of a table in testdata. */
export interface Case {
  readonly id: string;
  readonly profile: CaseProfile;
  readonly policy: string;
  /** NodePort, dedicated, DNAT or ingress; `ack` for the one balancer of that document. */
  readonly service: string;
  readonly client: string;
  readonly target: string;
  readonly expect: string;
  readonly sourceSeen?: string;
}

/** The cases of a table; one without a column `cloud` is about the cloud it is named for. */
export function readCases(table: 'cce' | 'ack' | 'mechanisms'): Case[] {
  const text = readFileSync(new URL(`testdata/${table}.txt`, import.meta.url), 'utf8');
  const [head = '', ...rows] = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  const columns = head.split(/\s+/);
  return rows.map((row) => {
    const cells = row.split(/\s+/);
    const cell = (name: string) => cells[columns.indexOf(name)] ?? '';
    const sourceSeen = cell('sourceSeen');
    return {
      id: cell('id'),
      profile: {
        cloud: cell('cloud') || table,
        network: cell('network'),
        proxyMode: cell('proxyMode'),
        kubernetesVersion: cell('version'),
      },
      policy: cell('policy') || 'Local',
      service: cell('service') || 'ack',
      client: cell('client'),
      target: cell('target'),
      expect: cell('expect'),
      ...(sourceSeen === '' || sourceSeen === '-' ? {} : { sourceSeen }),
    };
  });
}

/** What one client of a case found. */
export interface Finding {
  readonly client: string;
  readonly address: string;
  readonly outcomes: readonly Outcome[];
  /** The address that {@link Case.sourceSeen} names. */
  readonly expectedSource: string | undefined;
}

export function tryCase(one: Case, setting: Setting): Finding[] {
  const cluster = clusterOfCase(one, setting);
  return requestsOf(one, setting).map(({ client, request }) => {
    const outcomes = walk(cluster.world, request);
    const expectedSource = sourceOf(one, setting, client, cluster);
    return { client: client.host, address: `${request.to}:${request.port}`, outcomes, expectedSource };
  });
}

export const clusterOfCase = (one: Case, setting: Setting): Cluster =>
  clusterOf(setting, one.profile, shapeOf(one, setting));

/** What each client of a case asks. */
export function requestsOf(one: Case, setting: Setting) {
  return clientsOf(one, setting).map((client) => {
    const { address, port } = targetOf(one, setting, client);
    const to = Addr.parse(address);
    return { client, request: { from: client.host, to, port: portOf(port), protocol: 'TCP' } as const };
  });
}

const ELB = 'kubernetes.io/elb';
const CLB = 'service.beta.kubernetes.io/alibaba-cloud-loadbalancer';

function shapeOf({ service, policy, target }: Case, setting: Setting): ServiceShape {
  const { balancer, gateway } = addressesOf(setting);
  const plain = { type: 'LoadBalancer', policy, isShared: false, hasProcess: false } as const;
  switch (service) {
    case 'NodePort':
      return { ...plain, type: 'NodePort', annotations: {}, ingress: [] };
    case 'DNAT':
      return { ...plain, annotations: { [`${ELB}.class`]: 'dnat' }, ingress: [gateway] };
    case 'dedicated':
    case 'ingress': {
      const annotations = { [`${ELB}.class`]: 'performance', [`${ELB}.id`]: BALANCER };
      return { ...plain, annotations, ingress: [balancer.private] };
    }
    case 'ack': {
      const isNamed = target.endsWith('+hostname');
      const annotations = {
        [`${CLB}-id`]: BALANCER,
        // The document's controller mounts nodes.
        'service.beta.kubernetes.io/backend-type': 'ecs',
        ...(isNamed ? { [`${CLB}-hostname`]: 'svc.example.com' } : {}),
      };
      const ingress = [balancer.private, balancer.public];
      return { ...plain, annotations, ingress, isShared: true, hasProcess: target.endsWith('+process') };
    }
  }
  throw new Error(`no such service '${service}'`);
}

interface Client {
  readonly host: string;
  /** The position of its node; undefined outside the cluster. */
  readonly node?: number;
}

function clientsOf({ client }: Case, { names }: Setting): Client[] {
  const onNode = (kind: string, node: number): Client => {
    const name = names.nodes[node] ?? '';
    return { host: kind === 'node' ? name : `${names.namespace}/${clientOn(name)}`, node };
  };
  const [kind = '', where] = client.split(':');
  if (kind === 'external') return [{ host: 'external' }];
  if (kind === 'vpc-host') return [{ host: 'vpc-client' }];
  if (where === 'any') return names.nodes.map((_, at) => onNode(kind, at));
  return [onNode(kind, where === 'same' ? 0 : 1)];
}

function targetOf({ target }: Case, setting: Setting, client: Client): { address: string; port: number } {
  const { nodes, balancer, gateway } = addressesOf(setting);
  const [what = '', which = ''] = target.split(/[.+]/);
  const isOutside = client.node === undefined && client.host === 'external';
  if (what.startsWith('loadBalancer')) {
    const address = isOutside ? balancer.public : balancer.private;
    const listener = what.split(':')[1];
    return { address, port: listener === '443' ? 443 : setting.port };
  }
  if (what === 'clusterIP') return { address: `${setting.services}.0.10`, port: setting.port };
  if (what === 'natGateway') return { address: gateway, port: setting.port };
  const node = nodes[positionOf(what, client)];
  // The document about ACK does not say which address: whoever is outside can only dial the public one.
  const kind = which === 'public' || isOutside ? 'public' : 'private';
  return { address: node?.[kind] ?? '', port: setting.nodePort };
}

/** `otherNode` has no endpoint and is not the client's. */
function positionOf(which: string, { node }: Client): number {
  if (which === 'serverNode') return 0;
  if (which === 'ownNode') return node ?? 0;
  return node === 1 ? 2 : 1;
}

function sourceOf({ sourceSeen }: Case, setting: Setting, client: Client, { world }: Cluster) {
  const { nodes } = addressesOf(setting);
  switch (sourceSeen) {
    case 'client':
      return world.hosts.get(client.host)?.interfaces.flatMap(({ addresses }) => addresses)[0]?.addr.text;
    case 'ownNode':
      return nodes[client.node ?? 0]?.private;
    case 'ownElastic':
      return nodes[client.node ?? 0]?.public;
    case 'tunnelDevice':
      return `${setting.pods}.${1 + (client.node ?? 0)}.1`;
    case 'balancer':
      return addressesOf(setting).balancer.private;
    case 'otherNode':
      return nodes[positionOf('otherNode', client)]?.private;
    case undefined:
      return undefined;
  }
  throw new Error(`nobody is '${sourceSeen}'`);
}
