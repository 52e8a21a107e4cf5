import { describe, expect, it } from 'vitest';
import { Endpoint, Prefix } from '../ip/ip.ts';
import { parseIptablesSave } from '../netfilter/netfilter.ts';
import { walk } from '../trace/trace.ts';
import type { Cluster } from '../world/from-objects/from-objects.ts';
import { type Host, MAIN_TABLE } from '../world/world.ts';
import { causeOf } from './cause-of.ts';
import { CAUSE_CODES, causeEntry } from './causes/registry.ts';
import { type CauseExample, causeText, clusterOf, diagnosed, WALKED_EXAMPLES } from './test-examples.ts';

/** Causes that objects alone cannot bring about: a test below makes the World for each. */
const MADE_BY_HAND = ['FL034', 'FL037', 'FL039', 'FL040', 'FL041', 'FL044'];

/** A change to one host of a World. */
type Amendment = (host: Host) => Host;

function amend(cluster: Cluster, name: string, amendment: Amendment): Cluster {
  const hosts = new Map(
    [...cluster.world.hosts].map(([key, host]) => [key, key === name ? amendment(host) : host]),
  );
  return { ...cluster, world: { ...cluster.world, hosts } };
}

/** Whichever pod it comes to. */
function expectCause(example: CauseExample): void {
  const found = diagnosed(example);
  expect(new Set(found.map(({ verdict }) => verdict))).toEqual(new Set([example.verdict]));
  expect(new Set(found.map(({ code }) => code))).toEqual(new Set([example.code]));
}

describe('the examples of causes', () => {
  it.each(WALKED_EXAMPLES)('$code: $from to $to', (example) => expectCause(example));

  it.each(WALKED_EXAMPLES)('$code under other names and addresses', (example) => {
    const renamed = (text: string) =>
      text
        .replace(/\bn([1-3])\b/g, 'worker-$1.example')
        .replace(/\b10\.0\.(\d+\.\d+)/g, '172.30.$1')
        .replace(/\b10\.247\./g, '10.99.')
        .replace(/\b192\.168\.0\.(\d+)\b(?!\/)/g, '192.168.77.$1')
        .replace(/\b30080\b/g, '31999')
        .replace(/\b(far|near|web)\b/g, 'the-$1');
    const other = {
      ...example,
      text: renamed(example.text),
      from: renamed(example.from),
      to: renamed(example.to),
    };
    expectCause(other);
  });

  it('FL017 holds for a PROXY header that is never written, and for no plain HTTP', () => {
    const found = WALKED_EXAMPLES.find(({ code }) => code === 'FL017');
    if (found === undefined) throw new TypeError('there is no example of FL017');
    const ends = /"[^"]*-protocol-port": "https:443"/;
    const header = '"service.beta.kubernetes.io/alibaba-cloud-loadbalancer-proxy-protocol": "on"';
    const proxied = { ...found, text: found.text.replace(ends, header) };
    expect(diagnosed(proxied)).toMatchObject([{ verdict: 'reached', code: 'FL017' }]);
    const plain = { ...found, text: found.text.replace('https:443', 'http:443') };
    expect(diagnosed(plain)).toMatchObject([{ verdict: 'reached', code: undefined }]);
  });

  it('FL020 holds at a balancer that has no backend, too', () => {
    const found = WALKED_EXAMPLES.find(({ code }) => code === 'FL009');
    if (found === undefined) throw new TypeError('there is no example of FL009');
    const text = found.text.replace(/status: "True"/, 'status: "False"');
    expect(diagnosed({ ...found, text, from: 'vpc-host' })).toMatchObject([{ code: 'FL020' }]);
  });

  it('there is one for every cause that a connection shows', () => {
    const shown = CAUSE_CODES.filter((code) => causeEntry(code).shownBy === 'connection');
    const there = new Set([...WALKED_EXAMPLES.map(({ code }) => code), ...MADE_BY_HAND]);
    expect([...there].sort()).toEqual([...shown].sort());
  });
});

describe('causes beside Services', () => {
  /** Reached, unless something is amiss. */
  const working = (to: string): CauseExample => {
    const text = causeText('FL024');
    return { code: 'FL024', name: 'FL024', from: 'pod/far', to, verdict: 'reached', text };
  };
  const toPod = working('10.0.1.10:80');
  const toService = working('10.247.0.10:80');

  it('the connections are fine as they are', () => {
    for (const example of [toPod, toService]) {
      expect(diagnosed(example)).toMatchObject([{ verdict: 'reached', code: undefined }]);
    }
  });

  /** Instead of what kube-proxy has there, which these connections do not need. */
  const withRules =
    (save: string): Amendment =>
    (host) => ({
      ...host,
      packetFilter: { iptables: [parseIptablesSave(save, 4)] },
    });

  it('FL034: an administrator drops a port', () => {
    const drop = withRules(
      '*filter\n:FORWARD ACCEPT [0:0]\n-A FORWARD -p tcp -m tcp --dport 80 -j DROP\nCOMMIT\n',
    );
    expect(diagnosed(toService, amend(clusterOf(toService.text), 'n1', drop))).toMatchObject([
      { verdict: 'timeout', code: 'FL034', reason: 'droppedByRule' },
    ]);
  });

  it('FL044: a node that was read has no rule for the Service, or an old one', () => {
    const compiled = clusterOf(toService.text);
    const read = (save: string) => {
      const filter = withRules(save);
      const amended = amend(compiled, 'n2', (host) => ({ ...filter(host), readFrom: 'nodes/n2' }));
      return diagnosed(toService, { ...amended, compiled: compiled.world });
    };
    expect(read('')).toMatchObject([{ verdict: 'timeout', code: 'FL044' }]);
    const old = '-A PREROUTING -d 10.247.0.10/32 -p tcp -m tcp --dport 80 -j DNAT --to-destination';
    const withOld = (to: string) => read(`*nat\n:PREROUTING ACCEPT [0:0]\n${old} ${to}\nCOMMIT\n`);
    expect(withOld('10.0.1.99:80')).toMatchObject([{ code: 'FL044' }]);
    expect(withOld('10.0.1.10:80')).toMatchObject([{ verdict: 'reached', code: undefined }]);
    // A rule that stops it says so itself.
    const drop = '*raw\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -p tcp -j DROP\nCOMMIT\n';
    expect(read(drop)).toMatchObject([{ code: 'FL034' }]);
  });

  it('FL040: a match that is not modelled', () => {
    const odd = withRules(
      '*filter\n:FORWARD ACCEPT [0:0]\n-A FORWARD -m u32 --u32 "6&0xFF=6" -j DROP\nCOMMIT\n',
    );
    expect(diagnosed(toService, amend(clusterOf(toService.text), 'n1', odd))).toMatchObject([
      { verdict: 'unknown', code: 'FL040' },
    ]);
  });

  it('FL040: what forwards Services in the place of kube-proxy is named, and stops nothing else', () => {
    const replaced = (example: CauseExample) => ({
      ...example,
      text: example.text.replace('proxyMode:', 'serviceProxy: Cilium\n  proxyMode:'),
    });
    const asked = replaced(toService);
    const { addr, port } = Endpoint.parse(asked.to);
    const request = {
      from: 'default/far',
      to: addr,
      port,
      protocol: 'TCP',
    } as const;
    const cluster = clusterOf(asked.text);
    const [outcome] = walk(cluster.world, request);
    expect(outcome?.verdict).toBe('unknown');
    expect(outcome && causeOf(cluster, request, outcome)).toMatchObject({
      code: 'FL040',
      because: expect.stringContaining('Cilium'),
    });
    expect(diagnosed(replaced(toPod))).toMatchObject([{ verdict: 'reached' }]);
    const toNodePort = replaced({ ...toService, to: '192.168.0.11:30080', from: 'vpc-host' });
    expect(diagnosed(toNodePort)).toMatchObject([{ verdict: 'unknown', code: 'FL040' }]);
  });

  it('FL037: the way back leads elsewhere', () => {
    const elsewhere: Amendment = (host) => ({
      ...host,
      routes: [...host.routes, { kind: 'blackhole', to: Prefix.parse('10.0.2.0/24'), table: MAIN_TABLE }],
    });
    expect(diagnosed(toPod, amend(clusterOf(toPod.text), 'n1', elsewhere))).toMatchObject([
      { verdict: 'timeout', code: 'FL037', reason: 'reversePathFilter' },
    ]);
  });

  /** n3 sends on what comes to its port 9999, and leaves the source as it is. */
  const forwarder = { ...toPod, from: 'vpc-host', to: '192.168.0.13:9999' };
  const forwarding = amend(
    clusterOf(forwarder.text),
    'n3',
    withRules(
      '*nat\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -p tcp -m tcp --dport 9999 -j DNAT --to-destination 10.0.1.10:80\nCOMMIT\n',
    ),
  );

  it('FL041: a node forwards for a machine, in a VPC that checks sources', () => {
    expect(diagnosed(forwarder, forwarding)).toMatchObject([
      { verdict: 'timeout', code: 'FL041', reason: 'sourceCheck' },
    ]);
  });

  it('FL039: the same in a VPC that does not', () => {
    const unchecked = amend(forwarding, 'router', (host) => ({
      ...host,
      policies: host.policies.filter(({ kind }) => kind !== 'source-check'),
    }));
    expect(diagnosed(forwarder, unchecked)).toMatchObject([
      { verdict: 'timeout', code: 'FL039', reason: 'replyNotTranslated' },
    ]);
  });
});
