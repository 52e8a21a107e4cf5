/** What objects can say of a cluster beside the usual, built and dialled for real: blocks of addresses, and hostPorts. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { fairlead } from './supervisor.ts';

const profile = (network: string, more = '') => `
apiVersion: fairlead.dev/v1alpha1
kind: ClusterProfile
metadata: {name: mine}
spec: {network: ${network}, proxyMode: nftables, podCIDR: 10.0.0.0/16, kubernetesVersion: "1.33"${more}}
---`;

const node = (at: number, rest = 'spec: {}', annotations = '{}') => `
apiVersion: v1
kind: Node
metadata: {name: n${at}, annotations: ${annotations}}
${rest}
status: {addresses: [{type: InternalIP, address: 192.168.0.1${at}}, {type: InternalIP, address: 192.168.9.1${at}}]}
---`;

const pod = (name: string, at: number, ip: string, ports = '{containerPort: 80}') => `
apiVersion: v1
kind: Pod
metadata: {name: ${name}, labels: {app: ${name}}}
spec: {nodeName: n${at}, containers: [{name: main, ports: [${ports}]}]}
status: {podIP: ${ip}, conditions: [{type: Ready, status: "True"}]}
---`;

const service = (nodePort: number) => `
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  type: NodePort
  clusterIP: 10.247.0.7
  selector: {app: web}
  ports: [{port: 80, nodePort: ${nodePort}}]
`;

/** The addresses of pods as Calico hands them out: blocks of 64, and now and then one of another node's block. */
const BLOCKS = `${pod('web', 1, '10.0.7.65')}${pod('near', 1, '10.0.7.66')}${pod('far', 2, '10.0.3.5')}${pod('borrower', 2, '10.0.7.130')}${pod('lender', 1, '10.0.7.131')}${service(30080)}`;

const HOST_PORTS = `${pod('web', 1, '10.0.1.10')}${pod('agent', 1, '10.0.1.11', '{containerPort: 8080, hostPort: 8888}, {containerPort: 8081, hostPort: 30080}')}${pod('near', 1, '10.0.1.12')}${pod('far', 2, '10.0.2.10')}${service(30080)}`;

const range = (at: number) => `spec: {podCIDR: 10.0.${at}.0/24}`;
const tunnel = (at: number) => `{projectcalico.org/IPv4VXLANTunnelAddr: 10.0.200.${at}}`;

const SCENARIOS = {
  'blocks-tunnel': `${profile('tunnel')}${node(1, 'spec: {}', tunnel(1))}${node(2, 'spec: {}', tunnel(2))}${node(3)}${BLOCKS}`,
  'blocks-routed': `${profile('vpc')}${node(1)}${node(2)}${node(3)}${BLOCKS}`,
  'blocks-beside-ranges': `${profile('tunnel')}${node(1, range(250))}${node(2, range(251))}${node(3, range(252))}${BLOCKS}`,
  'host-ports-bridged': `${profile('vpc')}${node(1, range(1))}${node(2, range(2))}${HOST_PORTS}`,
  'host-ports-routed': `${profile('tunnel')}${node(1, range(1))}${node(2, range(2))}${HOST_PORTS}`,
  // FL007 ends with either.
  'links-routed': `${profile('vpc', ', podLinks: routed')}${node(1, range(1))}${node(2, range(2))}${HOST_PORTS}`,
  'bridge-netfilter': `${profile('vpc', ', bridgeNetfilter: true')}${node(1, range(1))}${node(2, range(2))}${HOST_PORTS}`,
} as const;

type Scenario = keyof typeof SCENARIOS;

describe.concurrent('on the kernel', () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'fairlead-worlds-'));
    for (const [name, text] of Object.entries(SCENARIOS)) writeFileSync(join(folder, `${name}.yaml`), text);
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  const prove = (command: string, name: Scenario, ...args: string[]) =>
    fairlead([command, ...args, '-f', join(folder, `${name}.yaml`), '--prove', '--kernel', 'host'], 90_000);

  it.each<Scenario>(['blocks-tunnel', 'blocks-routed', 'blocks-beside-ranges'])(
    'every cell of %s is what packets do',
    { timeout: 100_000 },
    async (name) => {
      const { stderr } = await prove('matrix', name, '-o', 'json');
      expect(stderr).toMatch(/^proven: \d{2,} agree, 0 differ, 0 unknown$/m);
      expect(stderr).toMatch(
        /node 'n1' has (no podCIDR|pods outside of its podCIDR): what it carries is taken/,
      );
    },
  );

  it.each<[Scenario, string, string, string]>([
    ['blocks-tunnel', 'pod/far', '10.0.7.65:80', 'reached'],
    ['blocks-tunnel', 'pod/borrower', '10.0.7.131:80', 'reached'],
    ['blocks-routed', 'pod/lender', '10.0.7.130:80', 'reached'],
    ['blocks-routed', 'pod/near', '192.168.9.11:30080', 'reached'],
    ['host-ports-bridged', 'vpc-host', '192.168.0.11:8888', 'reached'],
    ['host-ports-bridged', 'pod/near', '192.168.0.11:8888', 'reached'],
    ['host-ports-bridged', 'pod/agent', '192.168.0.11:8888', 'reached'],
    ['host-ports-bridged', 'node/n1', '192.168.0.11:8888', 'reached'],
    ['host-ports-bridged', 'node/n1', '127.0.0.1:8888', 'reached'],
    ['host-ports-bridged', 'vpc-host', '192.168.0.12:8888', 'refused'],
    ['host-ports-routed', 'pod/far', '192.168.0.11:8888', 'reached'],
    ['host-ports-routed', 'pod/agent', '192.168.0.11:8888', 'reached'],
    ['host-ports-bridged', 'pod/near', '10.247.0.7:80', 'FL007'],
    ['links-routed', 'pod/near', '10.247.0.7:80', 'reached'],
    ['bridge-netfilter', 'pod/near', '10.247.0.7:80', 'reached'],
    // The Service has the port before the pod.
    ['host-ports-routed', 'vpc-host', '192.168.0.11:30080', 'FL030'],
  ])('%s: %s to %s: %s', { timeout: 100_000 }, async (name, from, to, said) => {
    const { stdout, stderr } = await prove('why', name, from, to);
    expect(stderr).toContain('proven: 1 agree, 0 differ, 0 unknown');
    expect(stdout).toMatch(new RegExp(`^${said}\\b`, 'm'));
  });
});
