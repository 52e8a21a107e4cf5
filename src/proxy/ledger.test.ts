import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Addr, Endpoint, Prefix, portOf } from '../ip/ip.ts';
import {
  differenceOfIpSets,
  differenceOfIptables,
  differenceOfIpvsTables,
  differenceOfTables,
  IptablesTable,
  IpvsTable,
  type NftTable,
  type NftTransaction,
  printDeleteDestination,
  printDeleteServer,
  printIptablesTransaction,
  printNftTransaction,
  replacementOf,
} from '../netfilter/netfilter.ts';
import { DEFAULT_CONFIG, type NodeFacts } from './config.ts';
import { compileIpvs } from './ipvs/compile.ts';
import { IpvsLedger, type IpvsState } from './ipvs/ledger.ts';
import { compileNftables } from './nftables/compile.ts';
import { NftablesLedger } from './nftables/ledger.ts';
import type { PlannedEndpoint, PortPlan, ServicePlan } from './plan.ts';

const NODE: NodeFacts = {
  name: 'n1',
  ips: [Addr.parse('192.168.0.11')],
  podCIDRs: [Prefix.parse('172.16.0.0/24')],
};

const endpoint: fc.Arbitrary<PlannedEndpoint> = fc.record({
  endpoint: fc.nat(5).map((at) => new Endpoint(Addr.parse(`172.16.0.${at + 1}`), portOf(80))),
  local: fc.boolean(),
});
const endpoints = fc.uniqueArray(endpoint, { maxLength: 4, selector: (one) => one.endpoint.text });

/** Plans of Service number `at`; a few external addresses, so that Services claim the same ones. */
const servicePlan = (at: number): fc.Arbitrary<ServicePlan> =>
  fc
    .record({
      cluster: endpoints,
      local: endpoints,
      internal: fc.constantFrom('Cluster' as const, 'Local' as const),
      external: fc.constantFrom('Cluster' as const, 'Local' as const),
      external1: fc.boolean(),
      nodePort: fc.option(fc.constant(portOf(30000 + at))),
      affinity: fc.boolean(),
    })
    .map(({ nodePort, external1, affinity, ...rest }) => {
      const port: PortPlan = {
        ...rest,
        name: `default/s${at}`,
        family: 4,
        protocol: 'TCP',
        clusterIP: new Endpoint(Addr.parse(`10.247.0.${at + 1}`), portOf(80)),
        externalIPs: external1 ? [Addr.parse('203.0.113.1')] : [],
        loadBalancerIPs: [],
        anyEndpoints: rest.cluster.length + rest.local.length > 0,
        ...(nodePort === null ? {} : { nodePort }),
        ...(affinity ? { affinitySeconds: 60 } : {}),
      };
      return { name: port.name, ports: [port] };
    });

const step = fc.nat(3).chain((at) => fc.tuple(fc.constant(at), fc.option(servicePlan(at))));

/** The commands with one element each, in an order of their own: that of elements means nothing. */
const linesOf = (transaction: NftTransaction): string[] =>
  printNftTransaction(transaction)
    .split('\n')
    .flatMap((line) => {
      const [, command, elements] = /^(\S+ element .*) \{ (.*) \}$/.exec(line) ?? [];
      return elements === undefined ? [line] : elements.split(', ').map((one) => `${command} ${one}`);
    })
    .sort();

const lines = (before: NftTable, after: NftTable): string[] => linesOf(differenceOfTables(before, after));

describe('NftablesLedger', () => {
  it('says in its transaction what a comparison of the whole tables says', () => {
    fc.assert(
      fc.property(fc.array(fc.array(step, { maxLength: 3 }), { maxLength: 6 }), (batches) => {
        const ledger = new NftablesLedger(4, NODE, DEFAULT_CONFIG);
        ledger.settle();
        let before = ledger.table();
        for (const batch of batches) {
          for (const [at, plan] of batch) ledger.replace(`default/s${at}`, plan ?? undefined);
          const after = ledger.table();
          expect(linesOf(ledger.transaction())).toEqual(lines(before, after));
          ledger.settle();
          before = after;
        }
      }),
    );
  });

  /** A ledger after some steps, and the plans they leave. */
  const ledgerAfter = (steps: readonly (readonly [number, ServicePlan | null])[]) => {
    const ledger = new NftablesLedger(4, NODE, DEFAULT_CONFIG);
    const services = new Map<string, ServicePlan>();
    for (const [at, plan] of steps) {
      ledger.replace(`default/s${at}`, plan ?? undefined);
      if (plan === null) services.delete(`default/s${at}`);
      else services.set(`default/s${at}`, plan);
    }
    return { ledger, services };
  };

  it('holds what a compilation from scratch holds, whatever came before, but for who sits in which slot', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 12 }), (steps) => {
        const { ledger, services } = ledgerAfter(steps);
        const [whole] = compileNftables({
          node: NODE,
          config: DEFAULT_CONFIG,
          services,
          problems: [],
        }).tables;
        if (whole === undefined) throw new Error('no table was compiled');
        expect(withoutSlots(ledger.table())).toEqual(withoutSlots(whole));
      }),
    );
  });

  it('finds nothing to change in a table that it has adopted', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 12 }), (steps) => {
        const { ledger, services } = ledgerAfter(steps);
        const restarted = new NftablesLedger(4, NODE, DEFAULT_CONFIG);
        for (const [name, plan] of services) restarted.replace(name, plan);
        restarted.adopt(ledger.table());
        expect(lines(ledger.table(), restarted.table())).toEqual(['']);
        expect(lines(restarted.table(), ledger.table())).toEqual(['']);
      }),
    );
  });

  it.each([0, 4, 8])('changes two slots when endpoint %i of nine goes', (gone) => {
    const ledger = new NftablesLedger(4, NODE, DEFAULT_CONFIG);
    const nine = Array.from(
      { length: 9 },
      (_, at): PlannedEndpoint => ({
        endpoint: new Endpoint(Addr.parse(`172.16.1.${at}`), portOf(80)),
        local: false,
      }),
    );
    const plan = (cluster: readonly PlannedEndpoint[]): ServicePlan => ({
      name: 'default/s',
      ports: [
        {
          name: 'default/s',
          family: 4,
          protocol: 'TCP',
          clusterIP: new Endpoint(Addr.parse('10.247.0.1'), portOf(80)),
          externalIPs: [],
          loadBalancerIPs: [],
          internal: 'Cluster',
          external: 'Cluster',
          cluster,
          local: [],
          anyEndpoints: true,
        },
      ],
    });
    ledger.replace('default/s', plan(nine));
    ledger.settle();
    ledger.replace('default/s', plan(nine.toSpliced(gone, 1)));
    const slots = linesOf(ledger.transaction()).filter((line) => line.includes('endpoints-tcp'));
    const last = 'delete element ip fairlead endpoints-tcp 10.247.0.1 . 80 . 8';
    const moved = [
      `add element ip fairlead endpoints-tcp 10.247.0.1 . 80 . ${gone} : 172.16.1.8 . 80`,
      `delete element ip fairlead endpoints-tcp 10.247.0.1 . 80 . ${gone}`,
    ];
    expect(slots.filter((line) => !line.includes('numgen'))).toEqual(gone === 8 ? [last] : [...moved, last]);
  });
});

/** Every line of a table, where those of slots leave out the number. */
const withoutSlots = (table: NftTable): string[] =>
  linesOf(replacementOf(table))
    .map((line) => line.replace(/(endpoints-\w+ .*) \. \d+ : /, '$1 : '))
    .sort();

/** Everything a change comes to, in an order of its own: that of sets, servers and addresses means nothing. */
function ipvsLines(before: IpvsState, after: IpvsState): string[] {
  const sets = differenceOfIpSets(before.ipsets, after.ipsets);
  const ipvs = differenceOfIpvsTables(IpvsTable(before.servers), IpvsTable(after.servers));
  const bound = (state: IpvsState) => new Set(state.bound.map(({ text }) => text));
  const [old, wanted] = [bound(before), bound(after)];
  const rules = [...after.ruleset.tables.values()].map((table) =>
    differenceOfIptables(before.ruleset.tables.get(table.name) ?? IptablesTable(table.name, []), table),
  );
  return [
    ...`${sets.growing}${sets.shrinking}${ipvs.growing}`.split('\n'),
    ...ipvs.retired.map(printDeleteDestination),
    ...ipvs.removed.map(printDeleteServer),
    ...[...wanted].filter((text) => !old.has(text)).map((text) => `bind ${text}`),
    ...[...old].filter((text) => !wanted.has(text)).map((text) => `unbind ${text}`),
    ...rules.map(printIptablesTransaction),
  ]
    .filter((line) => line !== '')
    .sort();
}

describe('IpvsLedger', () => {
  it('says in its changes what a comparison of the whole says', () => {
    fc.assert(
      fc.property(fc.array(fc.array(step, { maxLength: 3 }), { maxLength: 6 }), (batches) => {
        const ledger = new IpvsLedger(4, NODE, DEFAULT_CONFIG);
        ledger.settle();
        let whole = ledger.state();
        for (const batch of batches) {
          for (const [at, plan] of batch) ledger.replace(`default/s${at}`, plan ?? undefined);
          const { before, after } = ledger.changes();
          expect(ipvsLines(before, after)).toEqual(ipvsLines(whole, ledger.state()));
          ledger.settle();
          whole = ledger.state();
        }
      }),
    );
  });

  it('holds what a compilation from scratch holds, whatever came before', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 12 }), (steps) => {
        const ledger = new IpvsLedger(4, NODE, DEFAULT_CONFIG);
        const services = new Map<string, ServicePlan>();
        for (const [at, plan] of steps) {
          ledger.replace(`default/s${at}`, plan ?? undefined);
          if (plan === null) services.delete(`default/s${at}`);
          else services.set(`default/s${at}`, plan);
        }
        const rules = compileIpvs({ node: NODE, config: DEFAULT_CONFIG, services, problems: [] });
        const { ipsets, servers, bound, ruleset } = ledger.state();
        expect({ ipsets, servers, bound, iptables: [ruleset] }).toEqual({
          ipsets: rules.ipsets,
          servers: rules.ipvs.servers,
          bound: rules.bound,
          iptables: rules.iptables,
        });
      }),
    );
  });
});
