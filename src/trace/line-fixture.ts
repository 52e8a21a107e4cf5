/** Three hosts in a line, for tests: what the one in the middle does decides. */
import { Addr, Mac, portOf } from '../ip/ip.ts';
import { profileOf } from '../world/profile.ts';
import { bareHost, DEFAULT, routeBy } from '../world/wiring.ts';
import type { Host, Link, Veth, World } from '../world/world.ts';

export const CLIENT = Addr.parse('10.0.1.2');
export const SERVER = Addr.parse('10.0.2.2');
export const GATE1 = Addr.parse('10.0.1.1');
export const GATE2 = Addr.parse('10.0.2.1');
export const VIRTUAL = Addr.parse('10.9.9.9');

export function veth(name: string, addr: Addr, more: Partial<Veth> = {}): Veth {
  return { kind: 'veth', name, mac: Mac.forAddr(addr), addresses: [{ addr, length: 24 }], ...more };
}

/** client 10.0.1.2 — 10.0.1.1 middle 10.0.2.1 — 10.0.2.2 server, which answers on port 80. */
export interface Middle {
  readonly middle?: Partial<Host>;
  readonly client?: Partial<Host>;
  readonly server?: Partial<Host>;
  readonly middleToClient?: Partial<Veth>;
}

export function line({ middle, client, server, middleToClient }: Middle = {}): World {
  const end = (name: string, addr: Addr, via: Addr, more: Partial<Host> | undefined): Host => {
    const bare = bareHost(name, 'client');
    return {
      ...bare,
      interfaces: [...bare.interfaces, veth('eth0', addr)],
      routes: [routeBy(DEFAULT, 'eth0', { via })],
      ...more,
    };
  };
  const bare = bareHost('middle', 'node');
  const forwarding = { ipForward: true, rpFilter: 1, bridgeNfCallIptables: false } as const;
  const hosts: Host[] = [
    end('client', CLIENT, GATE1, client),
    {
      ...bare,
      interfaces: [...bare.interfaces, veth('left', GATE1, middleToClient), veth('right', GATE2)],
      sysctls: forwarding,
      ...middle,
    },
    end('server', SERVER, GATE2, {
      listeners: [
        { protocol: 'TCP', port: portOf(80) },
        { protocol: 'UDP', port: portOf(80) },
      ],
      ...server,
    }),
  ];
  const link = (host: string, interfaceName: string): Link => ({
    a: { host, interface: 'eth0' },
    b: { host: 'middle', interface: interfaceName },
  });
  return {
    profile: profileOf({}),
    hosts: new Map(hosts.map((host) => [host.name, host])),
    links: [link('client', 'left'), link('server', 'right')],
  };
}
