/** Real packets through the rules of each mode: what a client gets is the specification. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { EndpointSlice, Service } from '../../src/kube/objects.ts';
import { DEFAULT_CONFIG, type ProxyConfig, planService } from '../../src/proxy/proxy.ts';
import type { Backend } from '../../src/sync/backend.ts';
import { IptablesBackend } from '../../src/sync/iptables-backend.ts';
import { NftablesBackend } from '../../src/sync/nftables-backend.ts';
import { Bed, N1, pods, saw } from './bed.ts';
import { service, slice } from './scenario.ts';

/** Node ports on 127.0.0.1 too, where the mode has them. */
const CONFIG: ProxyConfig = { ...DEFAULT_CONFIG, localhostNodePorts: true };

const BACKENDS = {
  nftables: (bed: Bed, config: ProxyConfig) => new NftablesBackend(bed.node, N1, config),
  iptables: (bed: Bed, config: ProxyConfig) => new IptablesBackend(bed.node, N1, config),
} as const;

let bed: Bed;
beforeAll(async () => {
  bed = await Bed.open();
});
afterAll(() => bed.close());

describe.each(Object.entries(BACKENDS))('%s', (mode, make) => {
  let backend: Backend;
  beforeAll(async () => {
    backend = make(bed, CONFIG);
    await backend.restore();
  });
  afterAll(() => backend.cleanup());

  /** Puts Services with their slices in force. */
  async function serve(...objects: readonly (Service | EndpointSlice)[]): Promise<string> {
    const slices = objects.filter((one) => one.kind === 'EndpointSlice') as EndpointSlice[];
    for (const object of objects) {
      if (object.kind !== 'Service') continue;
      const name = `default/${object.metadata?.name}`;
      const mine = slices.filter(
        (one) => one.metadata?.labels?.['kubernetes.io/service-name'] === object.metadata?.name,
      );
      const { plan, problems } = planService(N1, object as Service, mine);
      expect(problems).toEqual([]);
      backend.replace(name, plan);
    }
    return (await backend.apply()).transaction;
  }

  it('spreads a clusterIP over every endpoint, from a pod, the node and outside', async () => {
    await serve(service({ name: 'web', clusterIP: '10.247.0.10' }), slice('web', ['pod1', 'pod2', 'pod3']));
    const all = ['pod1', 'pod2', 'pod3'];
    const fromPod = await bed.dial('pod2', '10.247.0.10:80', { times: 40 });
    expect(pods(fromPod)).toEqual(all);
    expect(pods(await bed.dial('n1', '10.247.0.10:80', { times: 40 }))).toEqual(all);
    const fromClient = await bed.dial('client', '10.247.0.10:80', { times: 40 });
    expect(pods(fromClient)).toEqual(all);
    // A client outside the cluster is masqueraded, so that answers come back through the node.
    expect(saw(fromClient)).not.toContain('192.168.0.100');
  });

  it('keeps a pod its address towards another pod', async () => {
    await serve(service({ name: 'one', clusterIP: '10.247.0.11' }), slice('one', ['pod1']));
    expect(await bed.dial('pod2', '10.247.0.11:80')).toEqual([{ pod: 'pod1', saw: '172.16.0.3' }]);
  });

  it('lets a pod reach itself through its Service', async () => {
    await serve(service({ name: 'self', clusterIP: '10.247.0.12' }), slice('self', ['pod1']));
    const [answer] = await bed.dial('pod1', '10.247.0.12:80');
    expect(answer).toEqual({ pod: 'pod1', saw: '172.16.0.1' });
  });

  it('refuses a Service without endpoints at once, inside and outside', async () => {
    await serve(
      service({
        name: 'none',
        clusterIP: '10.247.0.13',
        spec: { type: 'NodePort', ports: [{ port: 80, nodePort: 30013 }] },
      }),
    );
    for (const from of ['pod1', 'n1', 'client'] as const) {
      for (const to of ['10.247.0.13:80', '192.168.0.11:30013']) {
        expect({ from, to, got: await bed.dial(from, to) }).toEqual({ from, to, got: ['refused'] });
      }
    }
    // nftables mode refuses any port of a clusterIP that no Service has; iptables mode has no rule for it.
    const other = await bed.dial('pod1', '10.247.0.13:81');
    expect(other).toEqual([mode === 'nftables' ? 'refused' : 'timeout']);
  });

  it('serves a node port with policy Cluster, masqueraded', async () => {
    const spec = { type: 'NodePort', ports: [{ port: 80, nodePort: 30014 }] };
    await serve(service({ name: 'np', clusterIP: '10.247.0.14', spec }), slice('np', ['pod1', 'pod3']));
    const answers = await bed.dial('client', '192.168.0.11:30014', { times: 30 });
    expect(pods(answers)).toEqual(['pod1', 'pod3']);
    expect(saw(answers)).not.toContain('192.168.0.100');
    expect(pods(await bed.dial('pod2', '192.168.0.11:30014', { times: 30 }))).toEqual(['pod1', 'pod3']);
    expect(pods(await bed.dial('n1', '192.168.0.11:30014', { times: 30 }))).toEqual(['pod1', 'pod3']);
  });

  it('answers node ports on 127.0.0.1 in iptables mode alone', async () => {
    const spec = { type: 'NodePort', ports: [{ port: 80, nodePort: 30025 }] };
    await serve(service({ name: 'lo', clusterIP: '10.247.0.25', spec }), slice('lo', ['pod1', 'pod3']));
    const answers = await bed.dial('n1', '127.0.0.1:30025', { times: 30 });
    expect(pods(answers)).toEqual(mode === 'iptables' ? ['pod1', 'pod3'] : ['refused']);
  });

  it('serves policy Local: local endpoints with the client kept, all of them for pods and the node', async () => {
    const spec = {
      type: 'LoadBalancer',
      externalTrafficPolicy: 'Local',
      externalIPs: ['203.0.113.15'],
      ports: [{ port: 80, nodePort: 30015 }],
    };
    await serve(
      service({ name: 'local', clusterIP: '10.247.0.15', spec, ingress: ['100.64.1.15'] }),
      slice('local', ['pod1', 'pod3']),
    );
    for (const to of ['192.168.0.11:30015', '100.64.1.15:80', '203.0.113.15:80']) {
      const outside = await bed.dial('client', to, { times: 12 });
      expect(pods(outside)).toEqual(['pod1']);
      expect(saw(outside)).toEqual(['192.168.0.100']);
      expect(pods(await bed.dial('pod2', to, { times: 30 }))).toEqual(['pod1', 'pod3']);
      expect(pods(await bed.dial('n1', to, { times: 30 }))).toEqual(['pod1', 'pod3']);
    }
  });

  it('is silent where policy Local has no local endpoint, but not for pods and the node', async () => {
    const spec = {
      type: 'NodePort',
      externalTrafficPolicy: 'Local',
      ports: [{ port: 80, nodePort: 30016 }],
    };
    await serve(service({ name: 'far', clusterIP: '10.247.0.16', spec }), slice('far', ['pod3']));
    expect(await bed.dial('client', '192.168.0.11:30016')).toEqual(['timeout']);
    expect(pods(await bed.dial('pod1', '192.168.0.11:30016'))).toEqual(['pod3']);
    expect(pods(await bed.dial('n1', '192.168.0.11:30016'))).toEqual(['pod3']);
  });

  it('keeps internalTrafficPolicy Local on the node', async () => {
    const spec = { internalTrafficPolicy: 'Local' };
    await serve(service({ name: 'inner', clusterIP: '10.247.0.17', spec }), slice('inner', ['pod1', 'pod3']));
    expect(pods(await bed.dial('pod2', '10.247.0.17:80', { times: 12 }))).toEqual(['pod1']);
    await serve(service({ name: 'inner', clusterIP: '10.247.0.17', spec }), slice('inner', ['pod3']));
    expect(await bed.dial('pod2', '10.247.0.17:80')).toEqual(['timeout']);
  });

  it('keeps a client with its endpoint under session affinity, at every address', async () => {
    const spec = {
      type: 'NodePort',
      sessionAffinity: 'ClientIP',
      ports: [{ port: 80, nodePort: 30018 }],
    };
    const sticky = service({ name: 'sticky', clusterIP: '10.247.0.18', spec });
    await serve(sticky, slice('sticky', ['pod1', 'pod2', 'pod3']));
    const first = pods(await bed.dial('client', '10.247.0.18:80', { times: 10 }));
    expect(first).toHaveLength(1);
    expect(pods(await bed.dial('client', '192.168.0.11:30018', { times: 10 }))).toEqual(first);
    const left = (['pod1', 'pod2', 'pod3'] as const).filter((pod) => pod !== first[0]);
    await serve(sticky, slice('sticky', left));
    const second = pods(await bed.dial('client', '10.247.0.18:80', { times: 10 }));
    expect(second).toHaveLength(1);
    expect(left).toContain(second[0]);
  });

  it('carries UDP', async () => {
    const spec = { ports: [{ port: 53, protocol: 'UDP' }] };
    await serve(service({ name: 'dns', clusterIP: '10.247.0.19', spec }), slice('dns', ['pod1', 'pod3']));
    const answers = await bed.dial('pod2', '10.247.0.19:53', { protocol: 'udp', times: 30 });
    expect(pods(answers)).toEqual(['pod1', 'pod3']);
  });

  it('lets only the source ranges in at the balancer, and everybody at the node port', async () => {
    const spec = {
      type: 'LoadBalancer',
      loadBalancerSourceRanges: ['192.168.0.100/32'],
      ports: [{ port: 80, nodePort: 30020 }],
    };
    await serve(
      service({ name: 'ranges', clusterIP: '10.247.0.20', spec, ingress: ['100.64.1.20'] }),
      slice('ranges', ['pod1']),
    );
    expect(pods(await bed.dial('client', '100.64.1.20:80'))).toEqual(['pod1']);
    expect(await bed.dial('n2', '100.64.1.20:80')).toEqual(['timeout']);
    expect(pods(await bed.dial('n2', '192.168.0.11:30020'))).toEqual(['pod1']);
  });

  it('carries IPv6 beside IPv4', async () => {
    const spec = {
      type: 'NodePort',
      clusterIPs: ['10.247.0.21', 'fd00:247::21'],
      ports: [{ port: 80, nodePort: 30021 }],
    };
    await serve(service({ name: 'dual', clusterIP: '10.247.0.21', spec }), slice('dual', ['pod1', 'pod3']), {
      ...slice('dual', ['pod1', 'pod3'], { family: 6 }),
    });
    const answers = await bed.dial('pod2', '[fd00:247::21]:80', { times: 30 });
    expect(pods(answers)).toEqual(['pod1', 'pod3']);
    expect(saw(answers)).toEqual(['fd00:172:16::3']);
    expect(pods(await bed.dial('client', '[fd00:192::11]:30021', { times: 30 }))).toEqual(['pod1', 'pod3']);
    expect(pods(await bed.dial('pod2', '10.247.0.21:80', { times: 30 }))).toEqual(['pod1', 'pod3']);
  });

  it('holds a connection through every change, also of its own endpoint, and a restart', async () => {
    const held = service({ name: 'held', clusterIP: '10.247.0.22' });
    await serve(held, slice('held', ['pod1']));
    const connection = await bed.hold('pod2', '10.247.0.22:80');
    expect(await connection.ask()).toMatchObject({ pod: 'pod1' });
    await serve(held, slice('held', ['pod2', 'pod3']));
    expect(await connection.ask()).toMatchObject({ pod: 'pod1' });
    // A daemon that starts anew without knowing of any Service yet takes the rules away, and no connection with them.
    const restarted = make(bed, CONFIG);
    await restarted.restore();
    expect(await connection.ask()).toMatchObject({ pod: 'pod1' });
    expect(pods(await bed.dial('pod2', '10.247.0.22:80'))).toEqual(['timeout']);
    await backend.restore();
    expect(pods(await bed.dial('pod2', '10.247.0.22:80'))).not.toEqual(['timeout']);
    expect(await connection.ask()).toMatchObject({ pod: 'pod1' });
  });

  it('finds the kernel as it left it, so that a restart changes nothing', async () => {
    const all = service({
      name: 'all',
      clusterIP: '10.247.0.23',
      ingress: ['100.64.1.23'],
      spec: {
        type: 'LoadBalancer',
        externalTrafficPolicy: 'Local',
        sessionAffinity: 'ClientIP',
        loadBalancerSourceRanges: ['192.168.0.0/24', '10.9.0.0/16'],
        healthCheckNodePort: 30999,
        externalIPs: ['203.0.113.23'],
        ports: [
          { name: 'a', port: 80, nodePort: 30023 },
          { name: 'b', port: 53, protocol: 'UDP', nodePort: 30024 },
          { name: 'c', port: 99, protocol: 'SCTP' },
        ],
      },
    });
    const ports = [
      { name: 'a', port: 8080 },
      { name: 'b', port: 8080 },
      { name: 'c', port: 8080 },
    ];
    await serve(all, { ...slice('all', ['pod1', 'pod3']), ports });
    expect((await backend.restore()).transaction).toBe('');
  });

  it('changes only what a change of one endpoint asks for', async () => {
    const small = service({ name: 'small', clusterIP: '10.247.0.24' });
    await serve(small, slice('small', ['pod1', 'pod2']));
    const text = await serve(small, slice('small', ['pod1', 'pod2', 'pod3']));
    if (mode === 'nftables') {
      expect(text).toContain(
        'add element ip fairlead endpoints-tcp { 10.247.0.24 . 80 . 2 : 172.16.1.2 . 8080 }',
      );
      expect(text).not.toContain('table');
      expect(text.split('\n').filter((line) => line.includes('element'))).toHaveLength(3);
    } else {
      expect(text.match(/^:KUBE-\S+/gm)?.map((line) => line.slice(0, 9))).toEqual([':KUBE-SVC', ':KUBE-SEP']);
      expect(text).not.toContain('KUBE-SERVICES');
    }
  });

  it('takes everything of its own away and leaves the rest', async () => {
    const foreign =
      mode === 'nftables'
        ? ['nft', 'add', 'table', 'ip', 'foreign']
        : ['iptables', '-t', 'nat', '-N', 'FOREIGN'];
    const [file = '', ...args] = foreign;
    await bed.node.run({ file, args });
    await backend.cleanup();
    expect(await backend.intact()).toBe(false);
    const { stdout } = await bed.node.run(
      mode === 'nftables'
        ? { file: 'nft', args: ['list', 'tables'] }
        : { file: 'iptables-save', args: ['-t', 'nat'] },
    );
    expect(stdout).toContain(mode === 'nftables' ? 'ip foreign' : ':FOREIGN');
    expect(stdout).not.toMatch(/fairlead|KUBE-/);
    await backend.restore();
    expect(await backend.intact()).toBe(true);
    expect(pods(await bed.dial('pod2', '10.247.0.11:80'))).toEqual(['pod1']);
  });
});
