import { Prefix } from '../ip/ip.ts';
import {
  AddressValue,
  Bitwise,
  Dnat,
  Fib,
  Mangle,
  Masquerade,
  Match,
  Meta,
  NftChain,
  NftHook,
  NftRule,
  NftTable,
  NumberValue,
  Payload,
  PrefixValue,
  Word,
} from '../netfilter/netfilter.ts';
import { nftFamily, wordOf } from './compile-balance.ts';
import { HOST_PORTS, SRCNAT } from './hook-priority.ts';
import type { HostPort, HostPorts } from './policy.ts';

/** The mark by which portmap asks for masquerading; kube-proxy's bits are others (0x4000, 0x8000). */
const MARK = NumberValue(0x2000);
const LOOPBACK = { 4: Prefix.parse('127.0.0.0/8'), 6: Prefix.parse('::1/128') };

/**
 * As the plugin portmap of CNI has it (containernetworking/plugins, plugins/meta/portmap): what is dialled from beside the
 * pod, or by way of loopback, is masqueraded so that the answer comes back here.
 */
export function compileHostPorts({ family, ports }: HostPorts): NftTable {
  const rules = ports.flatMap((port) => portRules(port));
  const marked = Match(Bitwise(Meta('mark'), '&', MARK), NumberValue(0), '!=');
  const chain = (hook: 'prerouting' | 'output') => NftChain(hook, rules, NftHook('nat', hook, HOST_PORTS));
  return NftTable(
    nftFamily(family),
    'fairlead-host-ports',
    [
      chain('prerouting'),
      chain('output'),
      NftChain('postrouting', [NftRule([marked, Masquerade(false)])], NftHook('nat', 'postrouting', SRCNAT)),
    ],
    [],
  );
}

function portRules({ protocol, port, addr, to, near }: HostPort): NftRule[] {
  const ip = nftFamily(to.addr.family);
  const matches = [
    addr === undefined
      ? Match(Fib(['daddr'], 'type'), Word('local'))
      : Match(Payload(ip, 'daddr'), AddressValue(addr)),
    Match(Payload(wordOf(protocol), 'dport'), NumberValue(port)),
  ];
  const isNear = [near, LOOPBACK[to.addr.family]].map((prefix) =>
    Match(Payload(ip, 'saddr'), prefix.isHost ? AddressValue(prefix.addr) : PrefixValue(prefix)),
  );
  const mark = Mangle(Meta('mark'), Bitwise(Meta('mark'), '|', MARK));
  return [
    ...isNear.map((match) => NftRule([match, ...matches, mark])),
    NftRule([...matches, Dnat(AddressValue(to.addr), { port: NumberValue(to.port) })]),
  ];
}
