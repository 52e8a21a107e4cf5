/** Rules of somebody else, drawn from a list: such as drop, reject, mark, or lead elsewhere. */
import fc from 'fast-check';
import type { IptablesTableName } from '../../src/netfilter/netfilter.ts';
import type { HostRole } from '../../src/world/world.ts';
import { type ForeignRule, type IptablesForeign, NFT_KINDS } from './foreign-rules.ts';
import { nodeAddress, nodePort, OPEN } from './scenario.ts';

const PORTS = [OPEN, nodePort(0, 0), 80];

const ROLES: readonly HostRole[] = [
  'node',
  'node',
  'node',
  'pod',
  'router',
  'balancer',
  'vpc-host',
  'client',
];

const at = (
  table: IptablesTableName,
  chain: string,
  rule: string,
  more: Pick<IptablesForeign, 'first'> = {},
): IptablesForeign => ({ tool: 'iptables', table, chain, rule, ...more });
const FIRST = { first: true } as const;

const iptablesRules: readonly IptablesForeign[] = PORTS.flatMap((port) => {
  const tcp = `-p tcp -m tcp --dport ${port}`;
  const udp = `-p udp -m udp --dport ${port}`;
  return [
    at('filter', 'INPUT', `${tcp} -j DROP`),
    at('filter', 'INPUT', `${udp} -j REJECT --reject-with icmp-port-unreachable`, FIRST),
    at('filter', 'INPUT', `-s 172.16.0.0/16 ${tcp} -j REJECT --reject-with icmp-port-unreachable`, FIRST),
    at('filter', 'FORWARD', `${tcp} -j REJECT --reject-with tcp-reset`, FIRST),
    at('filter', 'FORWARD', `${tcp} -j ACCEPT`, FIRST),
    at('filter', 'FORWARD', '-m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT'),
    at('filter', 'FORWARD', '-m conntrack --ctstate INVALID -j DROP', FIRST),
    at('filter', 'OUTPUT', `-d 10.247.0.0/16 ${tcp} -j DROP`),
    at('filter', 'OUTPUT', `${tcp} -j REJECT --reject-with icmp-port-unreachable`),
    at('filter', 'OUTPUT', `${tcp} -j REJECT --reject-with tcp-reset`, FIRST),
    at('nat', 'POSTROUTING', `${tcp} -j MASQUERADE`, FIRST),
    at('nat', 'POSTROUTING', `${udp} -j SNAT --to-source ${nodeAddress(0)}`, FIRST),
    at('nat', 'PREROUTING', `${tcp} -j ACCEPT`, FIRST),
    at('nat', 'PREROUTING', `${tcp} -j DNAT --to-destination ${nodeAddress(0)}:${nodePort(0, 0)}`, FIRST),
    at('nat', 'OUTPUT', `${tcp} -j DNAT --to-destination ${nodeAddress(0)}:${nodePort(0, 0)}`, FIRST),
    at('nat', 'OUTPUT', `${tcp} -j DNAT --to-destination 10.247.0.10:80`, FIRST),
    at('raw', 'PREROUTING', `-s 192.168.0.12/32 ${tcp} -j DROP`),
    at('mangle', 'PREROUTING', `${tcp} -j MARK --set-xmark 0x20/0x20`),
    // The bits of kube-proxy and of the network model itself.
    at('mangle', 'PREROUTING', `${tcp} -j MARK --set-xmark 0x4000/0x4000`),
    at('mangle', 'OUTPUT', `${tcp} -j MARK --set-xmark 0x10/0x10`),
  ];
});

/** The policy becomes DROP. */
const closed: IptablesForeign = { tool: 'iptables', table: 'filter', chain: 'FORWARD' };

const rule = fc.oneof(
  { arbitrary: fc.constantFrom(...iptablesRules), weight: 5 },
  { arbitrary: fc.constant(closed), weight: 1 },
  {
    arbitrary: fc.record({
      tool: fc.constant('nft' as const),
      what: fc.constantFrom(...NFT_KINDS),
      port: fc.constantFrom(...PORTS),
    }),
    weight: 4,
  },
);

export const foreignRules: fc.Arbitrary<ForeignRule[]> = fc.array(
  fc
    .record({
      rule,
      on: fc.constantFrom(...ROLES),
      nth: fc.option(fc.nat(4), { nil: undefined, freq: 3 }),
    })
    .map(({ rule: one, on, nth }) => ({
      ...one,
      ...(on === 'node' ? {} : { on }),
      ...(nth === undefined ? {} : { nth }),
    })),
  { minLength: 1, maxLength: 4 },
);
