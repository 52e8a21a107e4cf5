/**
 * IPVS mode in a guest, as the kernel that runs the tests need not have it: the real tools take every golden and list it
 * as the same trees, and real packets go where kube-proxy's would.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { EndpointSlice, Service } from '../../src/kube/objects.ts';
import { type Cage, openCage } from '../../src/lab/cage.ts';
import { chooseKernel, featuresOf } from '../../src/lab/vm/kernel.ts';
import { openVm, type Vm } from '../../src/lab/vm/vm.ts';
import {
  differenceOfIpSets,
  differenceOfIptables,
  differenceOfIpvsTables,
  parseIpsetSave,
  parseIptablesSave,
  parseIpvsadmSave,
  printIpSet,
  printIptablesRuleset,
  printIptablesTransaction,
  printIpvsTable,
} from '../../src/netfilter/netfilter.ts';
import { compileIpvs, DEFAULT_CONFIG, type IpvsRules, planFor, planService } from '../../src/proxy/proxy.ts';
import { IptablesBackend } from '../../src/sync/iptables-backend.ts';
import { IpvsBackend } from '../../src/sync/ipvs-backend.ts';
import { Bed, N1, pods, saw } from './bed.ts';
import { configOf, parseScenario, service, slice } from './scenario.ts';

const FOLDER = join(import.meta.dirname, 'testdata');
const NAMES = readdirSync(FOLDER)
  .filter((file) => file.endsWith('.yaml'))
  .map((file) => basename(file, '.yaml'));

/** The kernel's package is fetched once in a machine's life. */
const FETCHING = 600_000;

/** Everything of a node as a reader judges it. */
function goldenOf({ ipsets, ipvs, bound, iptables, sysctls }: IpvsRules): string {
  const sections = {
    ipset: ipsets
      .filter(({ entries }) => entries.length > 0)
      .map(printIpSet)
      .join(''),
    ipvsadm: printIpvsTable(ipvs),
    'kube-ipvs0': bound.map(({ text }) => `${text}\n`).join(''),
    sysctl: Object.entries(sysctls)
      .map(([name, value]) => `${name}=${value}\n`)
      .join(''),
    ...Object.fromEntries(
      iptables.map((ruleset) => [`iptables IPv${ruleset.family}`, printIptablesRuleset(ruleset)]),
    ),
  };
  return Object.entries(sections)
    .map(([name, text]) => `# ${name}\n${text}`)
    .join('\n');
}

const compiled = (name: string): IpvsRules => {
  const { services, slices, configuration } = parseScenario(
    readFileSync(join(FOLDER, `${name}.yaml`), 'utf8'),
  );
  return compileIpvs(planFor(N1, services, slices, configOf(configuration)));
};

const SAME = { growing: '', retired: [], removed: [] };

describe('goldens', () => {
  let cage: Cage;
  beforeAll(async () => {
    cage = await openCage();
  });
  afterAll(() => cage.close());

  it.each(NAMES)('%s compiles to what ipset and iptables take, and save as the same trees', async (name) => {
    const rules = compiled(name);
    await expect(goldenOf(rules)).toMatchFileSnapshot(join(FOLDER, `${name}.ipvs`));
    const run = async (file: string, args: readonly string[], stdin = '') =>
      (await cage.exec().run({ file, args, stdin })).stdout;
    await run('ipset', ['restore'], rules.ipsets.map(printIpSet).join(''));
    const saved = parseIpsetSave(await run('ipset', ['save']));
    expect(differenceOfIpSets(saved, rules.ipsets)).toEqual({ growing: '', shrinking: '' });
    for (const ruleset of rules.iptables) {
      const tool = ruleset.family === 4 ? 'iptables' : 'ip6tables';
      const text = printIptablesRuleset(ruleset);
      expect(printIptablesRuleset(parseIptablesSave(text, ruleset.family))).toBe(text);
      await run(`${tool}-restore`, ['--test'], text);
      await run(`${tool}-restore`, [], text);
      const { tables } = parseIptablesSave(await run(`${tool}-save`, []), ruleset.family);
      await run('nft', ['flush', 'ruleset']);
      for (const table of ruleset.tables.values()) {
        const found = tables.get(table.name);
        if (found === undefined) throw new Error(`${tool}-save prints no table ${table.name}`);
        expect(printIptablesTransaction(differenceOfIptables(found, table))).toBe('');
      }
    }
    await run('ipset', ['destroy']);
  });
});

it('says what the running kernel lacks, in one sentence, and is content with one that lacks nothing', async () => {
  const { kernel } = await chooseKernel(featuresOf('ipvs'));
  const cage = await openCage();
  try {
    const restored = new IpvsBackend(cage.exec(), N1, DEFAULT_CONFIG).restore();
    if (kernel === 'host') await restored;
    else await expect(restored).rejects.toMatchObject({ code: 'FE015' });
  } finally {
    await cage.close();
  }
});

describe('in a guest', () => {
  let vm: Vm;
  let bed: Bed;
  beforeAll(async () => {
    vm = await openVm();
    bed = await Bed.open(await vm.openCage());
  }, FETCHING);
  afterAll(async () => await vm?.close());

  it('has an ipvsadm that takes every golden, and lists it as the same tree', async () => {
    const cage = await vm.openCage();
    const run = async (args: readonly string[], stdin = '') =>
      await cage.exec().run({ file: 'ipvsadm', args, stdin });
    // A namespace without any address takes every IPv4 address for a broadcast, and IPVS refuses those.
    await cage.exec().run({ file: 'ip', args: ['link', 'set', 'lo', 'up'] });
    for (const name of NAMES) {
      const { ipvs } = compiled(name);
      expect((await run(['-R'], printIpvsTable(ipvs))).stderr, name).toBe('');
      const listed = parseIpvsadmSave((await run(['-Sn'])).stdout);
      expect(differenceOfIpvsTables(listed, ipvs), name).toEqual(SAME);
      await run(['-C']);
    }
    await cage.close();
  });

  describe('packets', () => {
    let backend: IpvsBackend;
    const start = async (options = {}) => {
      backend = new IpvsBackend(bed.node, N1, DEFAULT_CONFIG, options);
      return await backend.restore();
    };
    beforeAll(async () => {
      // What another mode has left.
      await new IptablesBackend(bed.node, N1, DEFAULT_CONFIG).restore();
      await start();
    });
    afterAll(() => backend.cleanup());

    async function serve(object: Service, ...slices: readonly EndpointSlice[]): Promise<string> {
      const { plan, problems } = planService(N1, object, slices);
      expect(problems).toEqual([]);
      backend.replace(`default/${object.metadata?.name}`, plan);
      return (await backend.apply()).transaction;
    }

    /** Dials a few times; IPVS takes its destinations in turn. */
    const dial = (from: Parameters<Bed['dial']>[0], to: string, rest = {}) =>
      bed.dial(from, to, { times: 3, timeoutMs: 700, ...rest });
    const once = async (from: Parameters<Bed['dial']>[0], to: string, rest = {}) =>
      (await dial(from, to, { times: 1, ...rest }))[0];

    it('spreads a clusterIP over every endpoint, from a pod, the node and outside', async () => {
      await serve(service({ name: 'web', clusterIP: '10.247.0.10' }), slice('web', ['pod1', 'pod2', 'pod3']));
      for (const from of ['pod2', 'n1', 'client'] as const) {
        const answers = await dial(from, '10.247.0.10:80');
        expect({ from, pods: pods(answers) }).toEqual({ from, pods: ['pod1', 'pod2', 'pod3'] });
        // A client outside the cluster is masqueraded, so that answers come back through the node.
        if (from === 'client') expect(saw(answers)).not.toContain('192.168.0.100');
      }
    });

    it('takes the place of iptables mode, whose own chains go', async () => {
      const { stdout } = await bed.node.run({ file: 'iptables-save', args: [] });
      const chains = Array.from(stdout.matchAll(/^:(KUBE-\S+)/gm), ([, name]) => name);
      expect(chains).toContain('KUBE-IPVS-FILTER');
      expect(chains).not.toContain('KUBE-EXTERNAL-SERVICES');
      expect(chains).not.toContain('KUBE-PROXY-CANARY');
    });

    it('keeps a pod its address towards another pod, and masquerades one that dials itself', async () => {
      await serve(service({ name: 'one', clusterIP: '10.247.0.11' }), slice('one', ['pod1']));
      expect(await once('pod2', '10.247.0.11:80')).toEqual({ pod: 'pod1', saw: '172.16.0.3' });
      expect(await once('pod1', '10.247.0.11:80')).toEqual({ pod: 'pod1', saw: '172.16.0.1' });
    });

    it('refuses a Service without endpoints, and the ports of its address that are no Service', async () => {
      const spec = { type: 'NodePort', ports: [{ port: 80, nodePort: 30013 }] };
      await serve(service({ name: 'none', clusterIP: '10.247.0.13', spec }));
      for (const [from, to] of [
        ['pod1', '10.247.0.13:80'],
        ['n1', '10.247.0.13:80'],
        ['client', '192.168.0.11:30013'],
        ['pod1', '10.247.0.13:81'],
        ['client', '10.247.0.13:81'],
      ] as const) {
        expect({ from, to, got: await once(from, to) }).toEqual({ from, to, got: 'refused' });
      }
    });

    it('serves a node port with policy Cluster, masqueraded', async () => {
      const spec = { type: 'NodePort', ports: [{ port: 80, nodePort: 30014 }] };
      await serve(service({ name: 'np', clusterIP: '10.247.0.14', spec }), slice('np', ['pod1', 'pod3']));
      const answers = await dial('client', '192.168.0.11:30014');
      expect(pods(answers)).toEqual(['pod1', 'pod3']);
      expect(saw(answers)).not.toContain('192.168.0.100');
      expect(pods(await dial('pod2', '192.168.0.11:30014'))).toEqual(['pod1', 'pod3']);
      expect(pods(await dial('n1', '192.168.0.11:30014'))).toEqual(['pod1', 'pod3']);
    });

    const local = (nodePort: number) => ({
      type: 'LoadBalancer',
      externalTrafficPolicy: 'Local',
      ports: [{ port: 80, nodePort }],
    });

    it('serves policy Local with the client kept, also at the captured address of the balancer', async () => {
      await serve(
        service({ name: 'lb', clusterIP: '10.247.0.15', spec: local(30015), ingress: ['203.0.113.15'] }),
        slice('lb', ['pod1', 'pod3']),
      );
      for (const to of ['192.168.0.11:30015', '203.0.113.15:80']) {
        const answers = await dial('client', to);
        expect({ to, pods: pods(answers), saw: saw(answers) }).toEqual({
          to,
          pods: ['pod1'],
          saw: ['192.168.0.100'],
        });
      }
      // The node dials the balancer's address from that very address, which is its own now.
      expect(await once('n1', '203.0.113.15:80')).toEqual({ pod: 'pod1', saw: '203.0.113.15' });
      expect(await once('client', '203.0.113.15:81')).toBe('refused');
    });

    it('has every endpoint where policy Local has none of its own, and none of them before 1.24', async () => {
      const object = service({ name: 'far', clusterIP: '10.247.0.16', spec: local(30016) });
      await serve(object, slice('far', ['pod3']));
      expect(await once('pod1', '192.168.0.11:30016')).toEqual({ pod: 'pod3', saw: '172.16.0.2' });
      const { plan } = planService(N1, object, [slice('far', ['pod3'])]);
      const old = new IpvsBackend(bed.node, N1, DEFAULT_CONFIG, {
        kubernetesVersion: { major: 1, minor: 22 },
      });
      old.replace('default/far', plan);
      await old.restore();
      expect(await once('pod1', '192.168.0.11:30016')).toBe('refused');
      await backend.restore();
      expect(await once('pod1', '192.168.0.11:30016')).toEqual({ pod: 'pod3', saw: '172.16.0.2' });
    });

    it('lets only the source ranges in at the balancer, and everybody at the node port', async () => {
      const spec = {
        type: 'LoadBalancer',
        ports: [{ port: 80, nodePort: 30017 }],
        loadBalancerSourceRanges: ['192.168.0.100/32'],
      };
      await serve(
        service({ name: 'fw', clusterIP: '10.247.0.17', spec, ingress: ['203.0.113.17'] }),
        slice('fw', ['pod1']),
      );
      expect(pods(await dial('client', '203.0.113.17:80', { times: 1 }))).toEqual(['pod1']);
      for (const from of ['pod2', 'n1', 'n2'] as const) {
        expect({ from, got: await once(from, '203.0.113.17:80') }).toEqual({ from, got: 'timeout' });
      }
      expect(pods(await dial('pod2', '192.168.0.11:30017', { times: 1 }))).toEqual(['pod1']);
    });

    it('keeps a client with its endpoint under session affinity', async () => {
      const spec = { sessionAffinity: 'ClientIP' };
      await serve(
        service({ name: 'sticky', clusterIP: '10.247.0.18', spec }),
        slice('sticky', ['pod1', 'pod2', 'pod3']),
      );
      expect(pods(await dial('client', '10.247.0.18:80', { times: 4 }))).toHaveLength(1);
    });

    it('carries UDP and IPv6', async () => {
      const spec = {
        clusterIPs: ['10.247.0.19', 'fd00:247::19'],
        ports: [
          { name: 'tcp', port: 80 },
          { name: 'udp', port: 80, protocol: 'UDP' },
        ],
      };
      const named = (family: 4 | 6): EndpointSlice => ({
        ...slice('dual', ['pod1'], { family }),
        ports: [
          { name: 'tcp', port: 8080 },
          { name: 'udp', port: 8080, protocol: 'UDP' },
        ],
      });
      await serve(service({ name: 'dual', clusterIP: '10.247.0.19', spec }), named(4), named(6));
      for (const to of ['10.247.0.19:80', '[fd00:247::19]:80']) {
        for (const protocol of ['tcp', 'udp'] as const) {
          const got = pods(await dial('pod2', to, { protocol, times: 1 }));
          expect({ to, protocol, got }).toEqual({ to, protocol, got: ['pod1'] });
        }
      }
    });

    it('lets a connection end that has lost its endpoint, gives it no new ones, and then forgets it', async () => {
      const object = service({ name: 'drain', clusterIP: '10.247.0.20' });
      await serve(object, slice('drain', ['pod1']));
      const held = await bed.hold('pod2', '10.247.0.20:80');
      expect(await held.ask()).toMatchObject({ pod: 'pod1' });
      const gone = await serve(object, slice('drain', ['pod3']));
      expect(gone).toContain('-e -t 10.247.0.20:80 -r 172.16.0.2:8080 -m -w 0');
      expect(await held.ask()).toMatchObject({ pod: 'pod1' });
      expect(pods(await dial('client', '10.247.0.20:80'))).toEqual(['pod3']);
      // Back before its connections have ended, it is the same destination with its weight again.
      expect(await serve(object, slice('drain', ['pod1', 'pod3']))).toBe(
        '-e -t 10.247.0.20:80 -r 172.16.0.2:8080 -m -w 1\n',
      );
      expect(await held.ask()).toMatchObject({ pod: 'pod1' });
    });
  });
});
