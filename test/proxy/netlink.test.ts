/** Elements by netlink against the same by nft, on the kernel; and what becomes of a relay that fails. */
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Exec, type Running, type StartOptions } from '../../src/exec/exec.ts';
import { lineLog } from '../../src/fault/log.ts';
import { Addr, Prefix } from '../../src/ip/ip.ts';
import { type Cage, openCage } from '../../src/lab/cage.ts';
import {
  AddressValue,
  Concat,
  Drop,
  differenceOfTables,
  elementBatch,
  Goto,
  NftChain,
  NftElement,
  type NftKey,
  NftSet,
  NftTable,
  type NftTransaction,
  NumberValue,
  PrefixValue,
  printNftKey,
  printNftTransaction,
  refusalOf,
  replacementOf,
  Word,
} from '../../src/netfilter/netfilter.ts';
import { DEFAULT_CONFIG, planService } from '../../src/proxy/proxy.ts';
import { SyncFailure } from '../../src/sync/backend.ts';
import { NetlinkRelay } from '../../src/sync/netlink-relay.ts';
import { NftablesBackend } from '../../src/sync/nftables-backend.ts';
import { N1 } from './bed.ts';
import { type PodName, service, slice } from './scenario.ts';

const lines: string[] = [];
const log = lineLog(
  (line) => lines.push(line),
  () => new Date(0),
);
let cage: Cage;
let relay: NetlinkRelay;
beforeAll(async () => {
  cage = await openCage();
  for (const name of ['by-nft', 'by-netlink']) {
    await cage.exec().run({ file: 'ip', args: ['netns', 'add', name] });
  }
  relay = new NetlinkRelay(cage.exec('by-netlink'), log);
});
afterAll(async () => {
  await relay.close();
  await cage.close();
});

type Dialect = { readonly family: 'ip' | 'ip6'; readonly address: string; readonly net: string };
const IP: Dialect = { family: 'ip', address: 'ipv4_addr', net: '10.0.0.0' };
const IP6: Dialect = { family: 'ip6', address: 'ipv6_addr', net: 'fd00::' };

const number = (max: number) => fc.integer({ min: 0, max }).map(NumberValue);
const port = fc.constantFrom(1, 80, 255, 256, 65535).map(NumberValue);
const protocol = fc.constantFrom('tcp', 'udp', 'sctp').map(Word);
const verdict = fc.constantFrom(Goto('here'), Goto('there'), Drop());
const address = ({ net }: Dialect) =>
  fc.constantFrom(0, 1, 255, 256, 65536).map((by) => AddressValue(Addr.parse(net).plus(by)));
/** None of them within another: the kernel refuses such. */
const range = ({ family, net }: Dialect) =>
  fc
    .constantFrom(
      ...(family === 'ip' ? ['11.0.0.0/8', '12.1.0.0/16', '12.2.2.0/31'] : ['fd01::/16', 'fd02:1::/32']),
    )
    .map((text) => PrefixValue(Prefix.parse(text)))
    .chain((prefix) => fc.constantFrom(prefix, AddressValue(Addr.parse(net))));

/** A set of every shape the proxy writes, with random elements. */
function sets(dialect: Dialect): fc.Arbitrary<NftSet>[] {
  const { address: type } = dialect;
  const target = fc.tuple(address(dialect), protocol, port).map((of) => Concat(...of));
  const endpoint = fc.tuple(address(dialect), port).map((of) => Concat(...of));
  const filled = (set: NftSet, key: fc.Arbitrary<NftKey>, value?: fc.Arbitrary<NftElement['value']>) =>
    fc
      .uniqueArray(
        fc.tuple(key, value ?? fc.constant(undefined)).map((pair) => NftElement(...pair)),
        { maxLength: 12, selector: (one) => printNftKey(one.key) },
      )
      .map((some) => ({ ...set, elements: new Map(some.map((one) => [printNftKey(one.key), one])) }));
  const numbered = fc.tuple(address(dialect), port, number(3)).map((of) => Concat(...of));
  const portNumbered = fc.tuple(port, number(70_000)).map((of) => Concat(...of));
  const ranged = fc.tuple(address(dialect), protocol, port, range(dialect)).map((of) => Concat(...of));
  const flags = ['interval'] as const;
  const value = [type, 'inet_service'];
  return [
    filled(NftSet('services', [type, 'inet_proto', 'inet_service'], { value: 'verdict' }), target, verdict),
    filled(
      NftSet('node-ports', ['inet_proto', 'inet_service'], { value: 'verdict' }),
      fc.tuple(protocol, port).map((of) => Concat(...of)),
      verdict,
    ),
    filled(NftSet('addresses', [type]), address(dialect)),
    filled(NftSet('ranges', [type, 'inet_proto', 'inet_service', type], { flags }), ranged),
    filled(
      NftSet('endpoints', [type, 'inet_service', 'integer'], { value, transport: 'tcp' }),
      numbered,
      endpoint,
    ),
    filled(
      NftSet('at-ports', ['inet_service', 'integer'], { value, transport: 'udp' }),
      portNumbered,
      endpoint,
    ),
  ];
}

const table = (dialect: Dialect): fc.Arbitrary<NftTable> =>
  fc
    .tuple(...sets(dialect))
    .map((some) => NftTable(dialect.family, 't', [NftChain('here', []), NftChain('there', [])], some));

const byNft = (netns: string, transaction: NftTransaction) =>
  cage.exec(netns).run({ file: 'nft', args: ['-f', '-'], stdin: printNftTransaction(transaction) });

/** What nft lists, without the handles, which count what has ever been there. */
async function listed(netns: string, family: string): Promise<unknown[]> {
  const { stdout } = await cage.exec(netns).run({ file: 'nft', args: ['-j', 'list', 'table', family, 't'] });
  const items: unknown = JSON.parse(stdout, (key, value) => (key === 'handle' ? undefined : value));
  // The order of a hash is nobody's; elements are compared as a whole, in an order of their own.
  return JSON.parse(JSON.stringify(items), (key, value) =>
    key === 'elem' && Array.isArray(value) ? value.map((one) => JSON.stringify(one)).sort() : value,
  );
}

async function byNetlink(transaction: NftTransaction): Promise<string | undefined> {
  const batch = elementBatch([transaction]);
  if (batch === undefined) throw new Error('elements alone were expected');
  return batch.elements === 0 ? undefined : refusalOf(batch, await relay.send(batch.bytes));
}

describe('elements by netlink', () => {
  it.each([IP, IP6])('leave in $family what nft leaves', async (dialect) => {
    await fc.assert(
      fc.asyncProperty(fc.array(table(dialect), { minLength: 2, maxLength: 5 }), async (states) => {
        let [before, ...later] = states;
        if (before === undefined) throw new Error('there is a first state');
        for (const netns of ['by-nft', 'by-netlink']) await byNft(netns, replacementOf(before));
        for (const after of later) {
          const transaction = differenceOfTables(before, after);
          await byNft('by-nft', transaction);
          expect(await byNetlink(transaction)).toBeUndefined();
          before = after;
        }
        expect(await listed('by-netlink', dialect.family)).toEqual(await listed('by-nft', dialect.family));
      }),
      { numRuns: 12 },
    );
  });

  it('are refused as a whole where the kernel holds something else than was believed', async () => {
    const empty = NftTable('ip', 't', [], [NftSet('addresses', ['ipv4_addr'])]);
    const [one, two] = ['10.0.0.1', '10.0.0.2'].map((text) => NftElement(AddressValue(Addr.parse(text))));
    if (one === undefined || two === undefined) throw new Error('two elements');
    const holding = (...some: readonly NftElement[]) =>
      NftTable(
        'ip',
        't',
        [],
        [
          NftSet('addresses', ['ipv4_addr'], {
            elements: new Map(some.map((each) => [printNftKey(each.key), each])),
          }),
        ],
      );
    await byNft('by-netlink', replacementOf(holding(one)));
    const standing = await listed('by-netlink', 'ip');
    expect(await byNetlink(differenceOfTables(empty, holding(two, one)))).toBe(
      'add element ip t addresses: EEXIST: the element stands already',
    );
    expect(await byNetlink(differenceOfTables(holding(one, two), empty))).toBe(
      'delete element ip t addresses: ENOENT: the kernel does not hold what was named',
    );
    expect(await listed('by-netlink', 'ip')).toEqual(standing);
  });
});

/** Remembers what it has started, so that a test can end it. */
class WatchedExec extends Exec {
  readonly started: Running[] = [];

  override async start(file: string, args: readonly string[], options?: StartOptions): Promise<Running> {
    const running = await super.start(file, args, options);
    if (file === 'perl') this.started.push(running);
    return running;
  }
}

describe('a relay', () => {
  const filled = NftTable(
    'ip',
    't',
    [],
    [
      NftSet('addresses', ['ipv4_addr'], {
        elements: new Map([['10.0.0.9', NftElement(AddressValue(Addr.parse('10.0.0.9')))]]),
      }),
    ],
  );
  const emptied = NftTable('ip', 't', [], [NftSet('addresses', ['ipv4_addr'])]);

  it('that was killed is missed by the batch that finds it so, and stands again for the next', async () => {
    await byNft('by-netlink', replacementOf(filled));
    const exec = new WatchedExec(cage.exec('by-netlink').place);
    const own = new NetlinkRelay(exec, log);
    const batch = elementBatch([differenceOfTables(filled, emptied)]);
    if (batch === undefined) throw new Error('elements alone were expected');
    expect(await own.ready()).toBe(true);
    const [first] = exec.started;
    first?.kill('SIGKILL');
    // In the same turn: nobody can have told the relay's end yet.
    await expect(own.send(batch.bytes)).rejects.toThrow('the netlink relay has ended');
    await first?.ended;
    expect(refusalOf(batch, await own.send(batch.bytes))).toBeUndefined();
    await own.close();
    expect(exec.started).toHaveLength(2);
    expect(await exec.started[1]?.ended).toEqual({ code: 0, signal: null });
  });

  it('that cannot be had is told of once, and nft does all', async () => {
    const place = cage.exec('by-netlink').place;
    // Behind env(1), so that nsenter itself is found.
    const exec = new Exec({ ...place, prefix: [...place.prefix, 'env', 'PATH=/var/empty'] });
    const own = new NetlinkRelay(exec, log);
    const before = lines.length;
    expect([await own.ready(), await own.ready()]).toEqual([false, false]);
    expect(lines.slice(before)).toEqual([
      expect.stringMatching(/warn no netlink relay: every change of the rules goes through nft error=.*perl/),
    ]);
  });
});

describe('NftablesBackend', () => {
  const web = service({ name: 'web', clusterIP: '10.247.1.10' });
  const planOf = (...to: PodName[]) => planService(N1, web, [slice('web', to)]).plan;
  const map = 'map ip fairlead endpoints-tcp';
  const nft = (...args: readonly string[]) => cage.exec('by-netlink').run({ file: 'nft', args });

  it('shows what was refused in the words of nft, and is whole again after a restore', async () => {
    const backend = new NftablesBackend(cage.exec('by-netlink'), N1, DEFAULT_CONFIG, relay);
    backend.replace('default/web', planOf('pod1', 'pod2'));
    await backend.restore();
    await nft('delete', 'element', 'ip', 'fairlead', 'endpoints-tcp', '{ 10.247.1.10 . 80 . 1 }');
    backend.replace('default/web', planOf('pod1', 'pod3'));
    const refused = await backend.apply().catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(SyncFailure);
    expect(refused).toMatchObject({
      message: expect.stringContaining('delete element ip fairlead endpoints-tcp: ENOENT'),
      transaction:
        'delete element ip fairlead endpoints-tcp { 10.247.1.10 . 80 . 1 }\n' +
        'delete element ip fairlead hairpin-connections { 172.16.0.3 . 172.16.0.3 }\n' +
        'add element ip fairlead endpoints-tcp { 10.247.1.10 . 80 . 1 : 172.16.1.2 . 8080 }\n',
    });
    await backend.restore();
    expect((await nft('list', ...map.split(' '))).stdout).toContain(
      '10.247.1.10 . 80 . 1 : 172.16.1.2 . 8080',
    );
    expect((await backend.restore()).transaction).toBe('');
    await backend.cleanup();
  });

  it('replaces a table that it cannot change, and tells why', async () => {
    const exec = cage.exec('by-netlink');
    // A set of ours in all but a flag that nft's listing hides; the kernel adds nothing to it once a rule uses it.
    const set = 'map service-ips { type ipv4_addr . inet_proto . inet_service : verdict; flags constant; }';
    const stdin = `table ip fairlead { ${set}; chain other { }; }\n`;
    await exec.run({ file: 'nft', args: ['-f', '-'], stdin });
    const backend = new NftablesBackend(exec, N1, DEFAULT_CONFIG, relay);
    backend.replace('default/web', planOf('pod1', 'pod2'));
    expect((await backend.restore()).replacedBecause).toBeInstanceOf(Error);
    expect(await backend.restore()).toMatchObject({ transaction: '', replacedBecause: undefined });
    expect((await nft('list', 'table', 'ip', 'fairlead')).stdout).not.toContain('chain other');
    await backend.cleanup();
  });

  it('knows whether its rules stand, by the relay and without', async () => {
    const exec = cage.exec('by-netlink');
    for (const own of [
      new NftablesBackend(exec, N1, DEFAULT_CONFIG, relay),
      new NftablesBackend(exec, N1, DEFAULT_CONFIG),
    ]) {
      expect(await own.intact()).toBe(false);
      await own.restore();
      expect(await own.intact()).toBe(true);
      await nft('flush', 'ruleset');
      expect(await own.intact()).toBe(false);
    }
  });

  it('makes and takes away chains that nothing leads to around a change of elements', async () => {
    const backend = new NftablesBackend(cage.exec('by-netlink'), N1, DEFAULT_CONFIG, relay);
    backend.replace('default/web', planOf('pod1'));
    await backend.restore();
    backend.replace('default/web', planOf('pod1', 'pod2'));
    await backend.apply();
    const { stdout } = await nft('list', 'table', 'ip', 'fairlead');
    expect(stdout).toContain('10.247.1.10 . tcp . 80 : goto balance-tcp_2');
    expect(stdout).not.toContain('balance-tcp_1');
    expect((await backend.restore()).transaction).toBe('');
    await backend.cleanup();
  });
});
