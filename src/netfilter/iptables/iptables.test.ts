import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Addr, Endpoint, Prefix, portOf } from '../../ip/ip.ts';
import {
  AcceptPacket,
  AddrType,
  Comment,
  Conntrack,
  ConntrackEnd,
  Destination,
  DnatTo,
  DropPacket,
  differenceOfIptables,
  GotoChain,
  InInterface,
  IpProtocol,
  IptablesChain,
  type IptablesMatch,
  IptablesRule,
  IptablesRuleset,
  IptablesTable,
  type IptablesTarget,
  JumpTo,
  Mark,
  MasqueradeTarget,
  MatchSet,
  MultiPort,
  OutInterface,
  onePort,
  parseIptablesRule,
  parseIptablesSave,
  printIptablesRule,
  printIptablesRuleset,
  printIptablesTransaction,
  Recent,
  RejectWith,
  ReturnToCaller,
  SetMark,
  SnatTo,
  Source,
  Statistic,
  TransportPorts,
  UnmodelledMatch,
} from '../netfilter.ts';

const not = fc.boolean();
const addr = fc.oneof(
  fc.bigInt({ min: 0n, max: 2n ** 32n - 1n }).map((value) => Addr.fromValue(4, value)),
  fc.bigInt({ min: 0n, max: 2n ** 128n - 1n }).map((value) => Addr.fromValue(6, value)),
);
const prefix = fc.tuple(addr, fc.nat(32)).map(([one, length]) => Prefix.of(one, length));
const port = fc.integer({ min: 1, max: 65535 }).map(portOf);
const word = fc.stringMatching(/^[A-Za-z][A-Za-z0-9_.-]{0,14}$/);
const chain = fc.stringMatching(/^KUBE-[A-Z0-9]{1,20}$/);
const mask = fc.integer({ min: 0, max: 0xffffffff });
const range = fc
  .tuple(fc.nat(65535), fc.nat(65535), not)
  .map(([a, b, no]) => ({ from: Math.min(a, b), to: Math.max(a, b), not: no }));
/** Whatever people write into comments, without line ends: the format has none. */
const text = fc
  .string({ minLength: 1, maxLength: 40 })
  .filter((one) => !/[\r\n]/.test(one) && one.trim() === one);

const bases: readonly fc.Arbitrary<IptablesMatch>[] = [
  fc.tuple(prefix, not).map(([one, no]) => Source(one, no)),
  fc.tuple(prefix, not).map(([one, no]) => Destination(one, no)),
  fc.tuple(word, not).map(([one, no]) => InInterface(`${one}+`, no)),
  fc.tuple(word, not).map(([one, no]) => OutInterface(one, no)),
  fc.tuple(fc.constantFrom('tcp', 'udp', 'sctp', 'icmp'), not).map(([one, no]) => IpProtocol(one, no)),
];
const module: fc.Arbitrary<IptablesMatch> = fc.oneof(
  text.map(Comment),
  fc
    .tuple(
      fc.constantFrom('tcp' as const, 'udp' as const, 'sctp' as const),
      fc.option(range),
      fc.option(range),
    )
    .map(([name, source, destination]) =>
      TransportPorts(name, {
        ...(source === null ? {} : { source }),
        ...(destination === null ? {} : { destination }),
      }),
    ),
  fc
    .tuple(fc.constantFrom('src' as const, 'dst' as const), not)
    .map(([side, no]) => AddrType(side, 'LOCAL', no)),
  fc
    .tuple(fc.uniqueArray(fc.constantFrom('NEW', 'RELATED', 'ESTABLISHED', 'DNAT'), { minLength: 1 }), not)
    .map(([states, no]) => Conntrack(states as Conntrack['states'], no)),
  fc
    .tuple(
      fc.constantFrom('original' as const, 'reply' as const),
      fc.constantFrom('source' as const, 'destination' as const),
      prefix,
      not,
    )
    .map(([direction, side, one, no]) => ConntrackEnd(direction, side, one, no)),
  fc
    .tuple(
      fc.constantFrom('sports' as const, 'dports' as const, 'ports' as const),
      fc.array(range, { minLength: 1, maxLength: 5 }),
      not,
    )
    .map(([side, ranges, no]) =>
      MultiPort(
        side,
        ranges.map(({ from, to }) => ({ from, to })),
        no,
      ),
    ),
  fc.tuple(mask, mask, not).map(([value, bits, no]) => Mark(value, bits, no)),
  fc.double({ min: 0, max: 1, noNaN: true }).map(Statistic),
  fc
    .record({
      operation: fc.constantFrom('rcheck', 'set', 'update'),
      list: chain,
      seconds: fc.nat(),
      reap: not,
      not,
    })
    .map(({ operation, list, ...rest }) => Recent(operation as Recent['operation'], list, rest)),
  fc.tuple(chain, not).map(([set, no]) => MatchSet(set, ['dst', 'dst'], no)),
);
const target: fc.Arbitrary<IptablesTarget | undefined> = fc.oneof(
  fc.constantFrom(
    undefined,
    AcceptPacket(),
    DropPacket(),
    ReturnToCaller(),
    RejectWith('icmp-port-unreachable'),
  ),
  chain.map(JumpTo),
  chain.map(GotoChain),
  fc.tuple(addr, port).map(([one, number]) => DnatTo(new Endpoint(one, number))),
  addr.map(SnatTo),
  not.map(MasqueradeTarget),
  fc.tuple(mask, mask).map(([value, bits]) => SetMark(value, bits)),
);
const rule = fc
  .tuple(fc.tuple(...bases.map((base) => fc.option(base))), fc.array(module, { maxLength: 4 }), target)
  .map(([some, modules, to]) => IptablesRule([...some.filter((one) => one !== null), ...modules], to));

describe('iptables', () => {
  it('reads back every rule it prints', () => {
    fc.assert(
      fc.property(rule, (one) => {
        expect(parseIptablesRule(printIptablesRule(one))).toEqual(one);
      }),
    );
  });

  it.each(['!', '--dport', '-j', '-m tcp'])('takes the comment %j for nothing but a comment', (comment) => {
    const one = IptablesRule([Comment(comment)], DropPacket());
    expect(parseIptablesRule(printIptablesRule(one))).toEqual(one);
  });

  it('reads back every ruleset it prints', () => {
    const names = fc.uniqueArray(chain, { maxLength: 4 });
    const chains = names.chain((some) =>
      fc.tuple(...some.map((name) => fc.array(rule, { maxLength: 4 }).map((rules) => ({ name, rules })))),
    );
    fc.assert(
      fc.property(chains, (some) => {
        // A jump to a chain that is not there would be taken for a target of an extension.
        const known = new Set(some.map(({ name }) => name));
        const fits = ({ target: to }: IptablesRule) => to?.kind !== 'JumpTo' || known.has(to.chain);
        const ruleset = IptablesRuleset(4, [
          IptablesTable('nat', [
            IptablesChain('OUTPUT', [], 'DROP'),
            ...some.map(({ name, rules }) => IptablesChain(name, rules.filter(fits))),
          ]),
        ]);
        expect(parseIptablesSave(printIptablesRuleset(ruleset), 4)).toEqual(ruleset);
      }),
    );
  });

  it('reads what other people wrote, and names what it does not model', () => {
    const line =
      '-d 10.0.0.1/32 -p tcp -m tcp --dport 80 -m time --timestart 08:00 -j LOG --log-prefix "a b "';
    expect(parseIptablesRule(line)).toMatchObject({
      matches: [
        { kind: 'Destination' },
        { kind: 'IpProtocol' },
        TransportPorts('tcp', { destination: onePort(portOf(80)) }),
        UnmodelledMatch(['-m', 'time', '--timestart', '08:00']),
      ],
      target: { kind: 'UnmodelledTarget', words: ['LOG', '--log-prefix', 'a b '] },
    });
  });

  it('says which line is no rule', () => {
    expect(() => parseIptablesSave('*nat\n:OUTPUT ACCEPT [0:0]\n-A NOWHERE -j DROP\nCOMMIT', 4)).toThrow(
      "line 3: '-A NOWHERE -j DROP' is not what iptables-save prints",
    );
  });
});

describe('differenceOfIptables', () => {
  const source = (at: number) => IptablesRule([Source(Prefix.parse(`10.0.0.${at}/32`))], DropPacket());
  const many = (from: number, to: number) => Array.from({ length: to - from }, (_, at) => source(from + at));
  const nat = (...chains: readonly IptablesChain[]) => IptablesTable('nat', chains);
  const between = (before: IptablesTable, after: IptablesTable) =>
    printIptablesTransaction(differenceOfIptables(before, after));

  it('edits a long chain of which little differs', () => {
    const before = nat(IptablesChain('KUBE-SERVICES', many(1, 20)));
    const after = nat(IptablesChain('KUBE-SERVICES', [...many(1, 5), source(99), ...many(6, 20)]));
    expect(between(before, after)).toBe(
      '*nat\n-D KUBE-SERVICES -s 10.0.0.5/32 -j DROP\n-I KUBE-SERVICES 5 -s 10.0.0.99/32 -j DROP\nCOMMIT\n',
    );
  });

  it('writes a chain anew whose order differs', () => {
    const before = nat(IptablesChain('KUBE-X', many(1, 4)));
    const after = nat(IptablesChain('KUBE-X', many(1, 4).reverse()));
    expect(between(before, after)).toMatch(/^\*nat\n:KUBE-X - \[0:0\]\n-A KUBE-X -s 10.0.0.3/);
  });

  it('empties a chain before it deletes it', () => {
    expect(between(nat(IptablesChain('KUBE-X', [])), nat())).toBe(
      '*nat\n:KUBE-X - [0:0]\n-X KUBE-X\nCOMMIT\n',
    );
  });

  it("leaves the kernel's chains in place and puts rules on top", () => {
    const before = nat(IptablesChain('OUTPUT', [source(1)], 'ACCEPT'));
    const after = nat(IptablesChain('OUTPUT', [source(2)], 'ACCEPT'));
    expect(between(before, after)).toBe(
      '*nat\n-D OUTPUT -s 10.0.0.1/32 -j DROP\n-I OUTPUT 1 -s 10.0.0.2/32 -j DROP\nCOMMIT\n',
    );
  });

  it('is empty between equals', () => {
    const table = () => nat(IptablesChain('KUBE-X', many(1, 9)), IptablesChain('KUBE-Y', []));
    expect(between(table(), table())).toBe('');
  });
});
