import { Fault } from '../../fault/fault.ts';
import { Endpoint, type Protocol } from '../../ip/ip.ts';
import { IpvsTable, RealServer, VirtualServer, virtualServerKey } from './ipvs.ts';

const PROTOCOLS: Readonly<Record<string, Protocol>> = { '-t': 'TCP', '-u': 'UDP', '--sctp-service': 'SCTP' };
const FORWARDING: Readonly<Record<string, RealServer['forwarding']>> = {
  '-m': 'masq',
  '-g': 'gate',
  '-i': 'tunnel',
};

/** Reads what `ipvsadm -Sn` prints. Throws {@link Fault} FE006 for what it cannot be. */
export function parseIpvsadmSave(text: string): IpvsTable {
  const servers = new Map<string, VirtualServer & { readonly destinations: RealServer[] }>();
  const unmodelled: string[] = [];
  for (const [at, line] of text.split('\n').entries()) {
    const [verb, flag = '', address = '', ...options] = line.trim().split(/\s+/);
    if (verb === '') continue;
    const protocol = PROTOCOLS[flag];
    if ((verb === '-A' || verb === '-a') && flag === '-f') unmodelled.push(line.trim());
    else if (verb === '-A' && protocol !== undefined) {
      const server = serverOf(protocol, Endpoint.parse(address), options);
      servers.set(virtualServerKey(server), { ...server, destinations: [] });
    } else if (verb === '-a' && protocol !== undefined && options[0] === '-r') {
      const of = servers.get(virtualServerKey({ protocol, endpoint: Endpoint.parse(address) }));
      if (of === undefined) throw unreadable(at, line);
      of.destinations.push(destinationOf(options.slice(1)));
    } else throw unreadable(at, line);
  }
  return IpvsTable([...servers.values()], unmodelled);
}

const unreadable = (at: number, line: string): Fault =>
  new Fault('FE006', `line ${at + 1}: '${line}' is not what ipvsadm -Sn prints`, 'pass its output whole');

function serverOf(protocol: Protocol, endpoint: Endpoint, options: readonly string[]): VirtualServer {
  const rest: { scheduler?: string; persistentSeconds?: number } = {};
  const unmodelled: string[] = [];
  for (let at = 0; at < options.length; at++) {
    const [option = '', value = ''] = options.slice(at);
    if (option === '-s') rest.scheduler = value;
    else if (option === '-p') rest.persistentSeconds = Number(value);
    else {
      unmodelled.push(option);
      continue;
    }
    at += 1;
  }
  return VirtualServer(protocol, endpoint, [], {
    ...rest,
    ...(unmodelled.length === 0 ? {} : { unmodelled }),
  });
}

function destinationOf([address = '', ...options]: readonly string[]): RealServer {
  let [forwarding, weight]: [RealServer['forwarding'], number] = ['gate', 1];
  const unmodelled: string[] = [];
  for (let at = 0; at < options.length; at++) {
    const [option = '', value = ''] = options.slice(at);
    const way = FORWARDING[option];
    if (way !== undefined) forwarding = way;
    else if (option === '-w') {
      weight = Number(value);
      at += 1;
    } else unmodelled.push(option);
  }
  const destination = RealServer(Endpoint.parse(address), forwarding, weight);
  return unmodelled.length === 0 ? destination : { ...destination, unmodelled };
}
