import { expect, it } from 'vitest';
import { Addr, Prefix } from '../ip/ip.ts';
import { DEFAULT_CONFIG, type ProxyConfig } from '../proxy/proxy.ts';
import { nodePortHosts } from './node-port-hosts.ts';

const NODE = { name: 'n1', ips: [Addr.parse('127.0.0.1')], podCIDRs: [] };
const hosts = (nodePortAddresses: ProxyConfig['nodePortAddresses']) =>
  nodePortHosts(NODE, { ...DEFAULT_CONFIG, nodePortAddresses });

it('is every address where all take node ports, and else those within the prefixes, family by family', () => {
  expect(hosts([])).toBeUndefined();
  expect(hosts([Prefix.parse('0.0.0.0/0'), Prefix.parse('::/0')])).toBeUndefined();
  expect(hosts([Prefix.parse('127.0.0.0/8')])).toEqual(['127.0.0.1', '::']);
  expect(hosts([Prefix.parse('127.0.0.2/32'), Prefix.parse('::/0')])).toEqual(['::']);
});

it('is the addresses the Node object tells, where the primary ones alone take node ports', () => {
  expect(hosts('primary')).toEqual(['127.0.0.1']);
});
