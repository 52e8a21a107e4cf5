/** Random rules for the host in the middle: what an administrator may have put there, as iptables and as nftables. */
import fc from 'fast-check';
import { Addr, Prefix } from '../../src/ip/ip.ts';
import {
  AddressValue,
  AnonymousSet,
  AnonymousVerdicts,
  Bitwise,
  Concat,
  Ct,
  Dnat,
  Drop,
  Fib,
  Goto,
  IpSet,
  Jump,
  Mangle,
  Masquerade,
  Match,
  Meta,
  NftChain,
  NftElement,
  NftHook,
  NftRule,
  NftRuleset,
  NftSet,
  type NftStatement,
  NftTable,
  Notrack,
  NumberValue,
  Numgen,
  Payload,
  PrefixValue,
  parseIptablesSave,
  printNftKey,
  Redirect,
  Reject,
  Return,
  SetReference,
  Snat,
  VerdictMap,
  Word,
} from '../../src/netfilter/netfilter.ts';
import { CLIENT, GATE1, GATE2, SERVER, VIRTUAL } from '../../src/trace/line-fixture.ts';
import type { PacketFilter } from '../../src/world/world.ts';

const ADDRESSES = [CLIENT, SERVER, GATE1, GATE2, VIRTUAL];
const PREFIXES = [...ADDRESSES.map((one) => `${one}/32`), '10.0.0.0/8', '10.0.1.0/24', '10.9.0.0/16'];
const not = fc.constantFrom('', '', '', '! ');

/** What a set of iptables rules asks. */
const SETS = [
  IpSet('ENDS', 'hash:ip,port', [
    [
      { kind: 'address', addr: SERVER },
      { kind: 'port', protocol: 'TCP', port: 80 as never },
    ],
    [
      { kind: 'address', addr: VIRTUAL },
      { kind: 'port', protocol: 'UDP', port: 80 as never },
    ],
  ]),
  IpSet('NETS', 'hash:net', [[{ kind: 'net', prefix: Prefix.parse('10.0.1.0/24') }]]),
  IpSet('LOOP', 'hash:ip,port,ip', [
    [
      { kind: 'address', addr: SERVER },
      { kind: 'port', protocol: 'TCP', port: 80 as never },
      { kind: 'address', addr: CLIENT },
    ],
  ]),
  IpSet('PORTS', 'bitmap:port', [[{ kind: 'port', port: 81 as never }]]),
];

const match = fc.oneof(
  fc
    .tuple(not, fc.constantFrom('-s', '-d'), fc.constantFrom(...PREFIXES))
    .map((words) => `${words[0]}${words[1]} ${words[2]}`),
  fc.tuple(not, fc.constantFrom('tcp', 'udp')).map(([no, protocol]) => `${no}-p ${protocol}`),
  fc.constantFrom(
    '-p tcp -m tcp --dport 80',
    '-p udp -m udp --dport 80',
    '-p tcp -m tcp --dport 70:80',
    '-p tcp -m tcp ! --sport 80',
  ),
  fc
    .tuple(not, fc.constantFrom('--dst-type LOCAL', '--src-type LOCAL', '--dst-type UNICAST'))
    .map(([no, type]) => `-m addrtype ${no}${type}`),
  fc
    .tuple(
      not,
      fc.constantFrom('NEW', 'ESTABLISHED', 'RELATED,ESTABLISHED', 'INVALID', 'DNAT', 'SNAT', 'NEW,DNAT'),
    )
    .map(([no, state]) => `-m conntrack ${no}--ctstate ${state}`),
  fc
    .tuple(not, fc.constantFrom('0x1/0x1', '0x2/0x3', '0x0/0x3'))
    .map(([no, mark]) => `-m mark ${no}--mark ${mark}`),
  fc
    .tuple(
      not,
      fc.constantFrom(
        'ENDS dst,dst',
        'ENDS src,src',
        'NETS src',
        'NETS dst',
        'LOOP dst,dst,src',
        'PORTS dst',
      ),
    )
    .map(([no, set]) => `-m set ${no}--match-set ${set}`),
  fc
    .tuple(
      not,
      fc.constantFrom('ctorigdst', 'ctorigsrc', 'ctreplsrc', 'ctrepldst'),
      fc.constantFrom('10.9.9.9', '10.0.2.0/24'),
    )
    .map(([no, end, prefix]) => `-m conntrack ${no}--${end} ${prefix}`),
  fc
    .tuple(not, fc.constantFrom('dports 80,443', 'ports 70:80,8080', 'sports 80'))
    .map(([no, ports]) => `-p tcp -m multiport ${no}--${ports}`),
  // Once a connection: what is drawn for each of its packets is not foretold, for a walk has but three.
  fc.constant('-m conntrack --ctstate NEW -m statistic --mode random --probability 0.50000000000'),
);

/** A protocol may be said once. */
const matches = fc
  .array(match, { minLength: 0, maxLength: 2 })
  .map((some) =>
    some.filter((one, at) => !one.includes('-p ') || some.findIndex((other) => other.includes('-p ')) === at),
  )
  .map((some) =>
    some.filter(
      (one, at) => some.findIndex((other) => other.split(' ').at(-2) === one.split(' ').at(-2)) === at,
    ),
  )
  .map((some) => [...some].sort((a, b) => Number(a.startsWith('-m')) - Number(b.startsWith('-m'))).join(' '));

/** A target that says a port needs to know of which protocol. */
const rule = (targets: readonly string[]) =>
  fc
    .tuple(matches, fc.constantFrom(...targets), fc.constantFrom('tcp', 'udp'))
    .map(([some, target, protocol]) => {
      if (!/:|--to-ports/.test(target)) return `${some} -j ${target}`.trim();
      return some.includes('-p ')
        ? `-p ${protocol} -j ${target}`
        : `${some} -p ${protocol} -j ${target}`.trim();
    });

const MARKS = ['MARK --set-xmark 0x1/0x1', 'MARK --set-xmark 0x2/0x3', 'MARK --set-xmark 0x1/0x0'];
const CONNMARKS = [
  'CONNMARK --save-mark --nfmask 0x3 --ctmask 0x3',
  'CONNMARK --restore-mark --nfmask 0x3 --ctmask 0x3',
];
const VERDICTS = ['ACCEPT', 'DROP', 'RETURN', 'INNER', 'INNER'];
const REJECTS = ['REJECT --reject-with icmp-port-unreachable', 'REJECT --reject-with icmp-host-unreachable'];
const DNATS = ['10.0.2.2:80', '10.0.2.2', '10.0.2.2:81', '10.0.1.1:80', '10.0.1.2:80'].map(
  (to) => `DNAT --to-destination ${to}`,
);
const REDIRECTS = ['REDIRECT', 'REDIRECT --to-ports 80'];
const SNATS = ['MASQUERADE', 'SNAT --to-source 10.0.2.1', 'SNAT --to-source 10.9.9.1'];

/** A chain's rules, and one more chain they may call. */
const chainOf = (targets: readonly string[], most: number) => fc.array(rule(targets), { maxLength: most });
const lines = (chain: string, rules: readonly string[]) =>
  rules.map((one) => `-A ${chain} ${one}\n`).join('');

const dropOften = fc.constantFrom('ACCEPT', 'ACCEPT', 'ACCEPT', 'DROP');

/** Of both directions: what the kernel makes of half a connection is not foretold. */
const untracked = fc.constantFrom<readonly ('tcp' | 'udp')[]>([], [], [], ['tcp'], ['udp'], ['tcp', 'udp']);
const notrack = (protocol: string) =>
  ['PREROUTING', 'OUTPUT'].map((chain) => `-A ${chain} -p ${protocol} -j CT --notrack\n`).join('');

/** Tables that mostly let packets through, so that more than one rule has its say. */
export const randomIptables: fc.Arbitrary<PacketFilter> = fc
  .record({
    untracked,
    mangle: chainOf([...MARKS, ...CONNMARKS, 'INNER', 'RETURN', 'ACCEPT'], 4),
    mangleInner: chainOf([...MARKS, ...CONNMARKS, 'RETURN'], 2),
    dnat: chainOf([...DNATS, ...REDIRECTS, 'ACCEPT', 'INNER'], 3),
    dnatInner: chainOf([...DNATS, ...MARKS, 'RETURN'], 2),
    snat: chainOf([...SNATS, 'ACCEPT', 'RETURN'], 3),
    forward: chainOf([...VERDICTS, ...REJECTS, ...MARKS], 4),
    input: chainOf([...VERDICTS, ...REJECTS], 3),
    inner: chainOf(['DROP', 'RETURN', 'ACCEPT', ...REJECTS], 2),
    policy: dropOften,
    mangleOut: chainOf([...MARKS, 'RETURN', 'ACCEPT'], 2),
    dnatOut: chainOf([...DNATS, ...REDIRECTS, 'ACCEPT', 'INNER'], 2),
    output: chainOf([...VERDICTS, ...REJECTS], 2),
  })
  .map(({ untracked, mangle, mangleInner, dnat, dnatInner, snat, forward, input, inner, policy, ...out }) => {
    const text = [
      `*raw\n:PREROUTING ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n${untracked.map(notrack).join('')}COMMIT\n`,
      `*mangle\n:PREROUTING ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n:INNER - [0:0]\n${lines('PREROUTING', mangle)}${lines('OUTPUT', out.mangleOut)}${lines('INNER', mangleInner)}COMMIT\n`,
      `*nat\n:PREROUTING ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n:POSTROUTING ACCEPT [0:0]\n:INNER - [0:0]\n`,
      `${lines('PREROUTING', dnat)}${lines('OUTPUT', out.dnatOut)}${lines('INNER', dnatInner)}${lines('POSTROUTING', snat)}COMMIT\n`,
      `*filter\n:INPUT ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n:FORWARD ${policy} [0:0]\n:INNER - [0:0]\n`,
      `${lines('INPUT', input)}${lines('OUTPUT', out.output)}${lines('FORWARD', forward)}${lines('INNER', inner)}COMMIT\n`,
    ].join('');
    return { iptables: [parseIptablesSave(text, 4)], ipsets: SETS };
  });

const TCP = Word('tcp');
const address = fc.constantFrom(...ADDRESSES).map(AddressValue);
const operator = fc.constantFrom<'==' | '!='>('==', '==', '!=');
const field = fc.constantFrom(Payload('ip', 'saddr'), Payload('ip', 'daddr'));

const nftMatch: fc.Arbitrary<NftStatement> = fc.oneof(
  fc.tuple(field, address, operator).map(([left, right, how]) => Match(left, right, how)),
  fc.tuple(field, operator).map(([left, how]) => Match(left, PrefixValue(Prefix.parse('10.0.1.0/24')), how)),
  fc.tuple(field, operator).map(([left, how]) => Match(left, SetReference('some'), how)),
  operator.map((how) => Match(Meta('l4proto'), TCP, how)),
  operator.map((how) =>
    Match(Payload('th', 'dport'), AnonymousSet([NumberValue(80), NumberValue(443)]), how),
  ),
  operator.map((how) => Match(Payload('tcp', 'dport'), NumberValue(80), how)),
  fc.constantFrom('new', 'established', 'invalid').map((state) => Match(Ct('state'), Word(state), 'in')),
  fc.constantFrom('dnat', 'snat').map((status) => Match(Ct('status'), Word(status), 'in')),
  fc.constantFrom('original', 'reply').map((direction) => Match(Ct('direction'), Word(direction))),
  fc.constantFrom('local', 'unicast').map((type) => Match(Fib(['daddr'], 'type'), Word(type))),
  operator.map((how) => Match(Bitwise(Meta('mark'), '&', NumberValue(1)), NumberValue(0), how)),
  fc
    .tuple(fc.constantFrom('iifname', 'oifname'), fc.constantFrom('left', 'ri*'), operator)
    .map(([key, name, how]) => Match(Meta(key), Word(name), how)),
);

const lots = VerdictMap(
  Numgen(2),
  AnonymousVerdicts([
    [NumberValue(0), Drop()],
    [NumberValue(1), Return()],
  ]),
);
/** A port to rewrite to needs a protocol before it. */
const nftAct = (acts: readonly NftStatement[]) =>
  fc.tuple(fc.array(nftMatch, { maxLength: 2 }), fc.constantFrom(...acts)).map(([some, act]) => {
    const once = act === lots ? [Match(Ct('state'), Word('new'), 'in')] : [];
    const named =
      (act.kind === 'Dnat' || act.kind === 'Redirect') && act.port !== undefined
        ? [Match(Meta('l4proto'), TCP)]
        : [];
    return NftRule([...some, ...once, ...named, act]);
  });

const key = Concat(Payload('ip', 'daddr'), Meta('l4proto'), Payload('th', 'dport'));
const marks = [
  Mangle(Meta('mark'), NumberValue(1)),
  Mangle(Meta('mark'), Bitwise(Meta('mark'), '^', NumberValue(1))),
  Mangle(Ct('mark'), Meta('mark')),
  Mangle(Meta('mark'), Ct('mark')),
];

const nftChain = (name: string, hook: NftHook | undefined, acts: readonly NftStatement[], most: number) =>
  fc.array(nftAct(acts), { maxLength: most }).map((rules) => NftChain(name, rules, hook));

/** One table with chains at every hook a forwarded packet meets. */
export const randomNftables: fc.Arbitrary<PacketFilter> = fc
  .tuple(
    nftChain('early', NftHook('filter', 'prerouting', -150), [...marks, Return(), Jump('inner-marks')], 4),
    nftChain('inner-marks', undefined, [...marks, Return()], 2),
    nftChain(
      'arriving',
      NftHook('nat', 'prerouting', -100),
      [
        Dnat(AddressValue(SERVER)),
        Dnat(AddressValue(SERVER), { port: NumberValue(81) }),
        Dnat(AddressValue(GATE1)),
        Redirect(),
        Redirect(NumberValue(80)),
        Return(),
      ],
      3,
    ),
    nftChain(
      'passing',
      NftHook('filter', 'forward', 0),
      [
        Drop(),
        Reject(),
        Jump('inner'),
        Goto('inner'),
        VerdictMap(key, SetReference('verdicts')),
        lots,
        ...marks,
      ],
      4,
    ),
    nftChain('late', NftHook('filter', 'forward', 10), [Drop(), Reject(), Return()], 2),
    nftChain('ending', NftHook('filter', 'input', 0), [Drop(), Reject(), Jump('inner')], 3),
    nftChain('inner', undefined, [Drop(), Return(), Reject()], 2),
    nftChain('routing', NftHook('route', 'output', -150), [...marks, Return()], 2),
    nftChain(
      'dnat-out',
      NftHook('nat', 'output', -100),
      [Dnat(AddressValue(SERVER)), Dnat(AddressValue(GATE1)), Redirect(NumberValue(80)), Return()],
      2,
    ),
    nftChain('output', NftHook('filter', 'output', 0), [Drop(), Reject(), Jump('inner')], 2),
    nftChain(
      'leaving',
      NftHook('nat', 'postrouting', 100),
      [Masquerade(false), Snat(AddressValue(Addr.parse('10.9.9.1'))), Return()],
      3,
    ),
  )
  .chain((chains) =>
    untracked.map((protocols) => {
      const all = [...(['prerouting', 'output'] as const).map((hook) => leftOut(hook, protocols)), ...chains];
      return { nftables: NftRuleset([NftTable('ip', 'foreign', all, sets())]) };
    }),
  );

const leftOut = (hook: 'prerouting' | 'output', protocols: readonly string[]) =>
  NftChain(
    `untracked-${hook}`,
    protocols.map((protocol) => NftRule([Match(Meta('l4proto'), Word(protocol)), Notrack()])),
    NftHook('filter', hook, -300),
  );

function sets(): NftSet[] {
  const elements = (some: readonly NftElement[]) => new Map(some.map((one) => [printNftKey(one.key), one]));
  const to = (addr: Addr, port: number) => Concat(AddressValue(addr), TCP, NumberValue(port));
  return [
    NftSet('some', ['ipv4_addr'], {
      elements: elements([CLIENT, VIRTUAL].map((one) => NftElement(AddressValue(one)))),
    }),
    NftSet('verdicts', ['ipv4_addr', 'inet_proto', 'inet_service'], {
      value: 'verdict',
      elements: elements([NftElement(to(SERVER, 80), Jump('inner')), NftElement(to(SERVER, 81), Drop())]),
    }),
  ];
}
