import { describe, expect, it } from 'vitest';
import { parseManifests } from '../../world/from-objects/from-objects.ts';
import { type ProfileSpec, profileOf } from '../../world/profile.ts';
import { lint } from './lint.ts';
import { lintJson, lintSarif, lintText } from './report.ts';

const deployment = (labels: string, ports = '') => `
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  template:
    metadata: {labels: ${labels}}
    spec: {containers: [{name: web, image: nginx${ports}}]}
`;

const service = (spec: string, annotations = '{}', name = 'web') => `
apiVersion: v1
kind: Service
metadata: {name: ${name}, annotations: ${annotations}}
spec:
  selector: {app: web}
${spec
  .split('\n')
  .map((line) => `  ${line}`)
  .join('\n')}
`;

const nodes = ['n1', 'n2'].map((name) => `\napiVersion: v1\nkind: Node\nmetadata: {name: ${name}}\n`);
const pod = (name: string, node: string, more = '') =>
  `\napiVersion: v1\nkind: Pod\nmetadata: {name: ${name}, labels: {app: web}}\nspec: {nodeName: ${node}, containers: [{name: c}]}\n${more}`;

const found = (documents: readonly string[], spec?: ProfileSpec) =>
  lint(parseManifests('x.yaml', documents.join('---\n')), spec && profileOf(spec)).map(
    ({ code, severity }) => `${severity} ${code}`,
  );

const LOCAL = 'type: LoadBalancer\nexternalTrafficPolicy: Local\nports: [{port: 80}]';
const CLUSTER = 'type: LoadBalancer\nports: [{port: 80}]';
const elb = (more: string) => `{kubernetes.io/elb.id: lb-1, ${more}}`;

interface Case {
  readonly what: string;
  readonly documents: readonly string[];
  readonly profile?: ProfileSpec;
  readonly finds: readonly string[];
}

const CASES: readonly Case[] = [
  {
    what: 'a Service that is fine',
    documents: [deployment('{app: web}'), service('ports: [{port: 80}]')],
    finds: [],
  },
  { what: 'a selector, and no pods to judge it by', documents: [service('ports: [{port: 80}]')], finds: [] },
  {
    what: 'a selector that misses the template',
    documents: [deployment('{app: website}'), service('ports: [{port: 80}]')],
    finds: ['error FL021'],
  },
  {
    what: 'a number where containers declare nothing: it may be anything',
    documents: [deployment('{app: web}'), service('ports: [{port: 80, targetPort: 8080}]')],
    finds: [],
  },
  {
    what: 'a number that is not declared',
    documents: [deployment('{app: web}', ', ports: [{containerPort: 80}]'), service('ports: [{port: 81}]')],
    finds: ['warning FL022'],
  },
  {
    what: 'the same number in the other protocol',
    documents: [
      deployment('{app: web}', ', ports: [{containerPort: 53, protocol: UDP}]'),
      service('ports: [{port: 53, protocol: TCP}, {port: 53, protocol: UDP}]'),
    ],
    finds: ['warning FL022'],
  },
  {
    what: 'a name that no container has',
    documents: [deployment('{app: web}'), service('ports: [{port: 80, targetPort: http}]')],
    finds: ['error FL022'],
  },
  {
    what: 'policy Local without nodes to judge it by',
    documents: [deployment('{app: web}'), service(LOCAL)],
    finds: [],
  },
  {
    what: 'policy Local with a pod on every node',
    documents: [...nodes, pod('a', 'n1'), pod('b', 'n2'), service(LOCAL)],
    finds: [],
  },
  {
    what: 'policy Local with a node to spare, by mode and version',
    documents: [...nodes, pod('a', 'n1'), service(LOCAL)],
    profile: { proxyMode: 'ipvs', kubernetesVersion: '1.22' },
    finds: ['note FL032', 'warning FL002'],
  },
  {
    what: 'policy Local with fewer replicas than nodes',
    documents: [...nodes, deployment('{app: web}'), service(LOCAL)],
    finds: ['warning FL001'],
  },
  {
    what: 'policy Local and a DaemonSet',
    documents: [...nodes, deployment('{app: web}').replace('Deployment', 'DaemonSet'), service(LOCAL)],
    finds: [],
  },
  {
    what: 'internalTrafficPolicy Local with a node to spare',
    documents: [...nodes, pod('a', 'n1'), service('internalTrafficPolicy: Local\nports: [{port: 80}]')],
    finds: ['warning FL005'],
  },
  {
    what: 'pods that say that they are not ready',
    documents: [
      ...nodes,
      pod('a', 'n1', 'status: {conditions: [{type: Ready, status: "False"}]}\n'),
      service('ports: [{port: 80}]'),
    ],
    finds: ['error FL020'],
  },
  {
    what: 'one node port for two protocols',
    documents: [
      service(
        'type: NodePort\nports: [{port: 53, nodePort: 30053}, {port: 53, nodePort: 30053, protocol: UDP}]',
      ),
    ],
    finds: [],
  },
  {
    what: 'a node port that a process of the node has',
    documents: [
      '\napiVersion: v1\nkind: Pod\nmetadata: {name: agent}\nspec: {hostNetwork: true, containers: [{name: c, ports: [{containerPort: 30080}]}]}\n',
      service('type: NodePort\nselector: {}\nports: [{port: 80, nodePort: 30080}]').replace(
        '  selector: {app: web}\n',
        '',
      ),
    ],
    finds: ['warning FL030'],
  },
  {
    what: 'one balancer, equal pass-through',
    documents: [
      service(CLUSTER, elb('kubernetes.io/elb.pass-through: "true"')),
      service(CLUSTER, elb('kubernetes.io/elb.pass-through: "true"'), 'other'),
    ],
    finds: [],
  },
  {
    what: 'one balancer, pass-through that differs, where the mode is not known',
    documents: [
      service(CLUSTER, elb('kubernetes.io/elb.pass-through: "true"')),
      service(CLUSTER, elb(''), 'other'),
    ],
    finds: ['error FL019'],
  },
  {
    what: 'the same in a mode that captures by port',
    documents: [
      service(CLUSTER, elb('kubernetes.io/elb.pass-through: "true"')),
      service(CLUSTER, elb(''), 'other'),
    ],
    profile: { cloud: 'cce', proxyMode: 'iptables' },
    finds: [],
  },
  {
    what: 'an Ingress on the balancer of a Service',
    documents: [
      service(CLUSTER, elb('')),
      '\napiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: shop, annotations: {kubernetes.io/elb.id: lb-1}}\n',
    ],
    finds: ['warning FL014'],
  },
  {
    what: 'TLS at a balancer whose address is passed through',
    documents: [
      service(CLUSTER, elb('kubernetes.io/elb.cert-id: c, kubernetes.io/elb.pass-through: "true"')),
    ],
    finds: [],
  },
  {
    what: 'affinity that the balancer keeps itself',
    documents: [
      service(
        `${CLUSTER}\nsessionAffinity: ClientIP`,
        elb('kubernetes.io/elb.session-affinity-mode: SOURCE_IP'),
      ),
    ],
    finds: [],
  },
  {
    what: 'ranges that hold everything inside',
    documents: [service(`${CLUSTER}\nloadBalancerSourceRanges: [0.0.0.0/0]`)],
    profile: {},
    finds: [],
  },
  {
    what: 'IPVS when it is gone',
    documents: [],
    profile: { proxyMode: 'ipvs', kubernetesVersion: '1.43' },
    finds: ['error FL032'],
  },
];

describe('lint', () => {
  it.each(CASES)('$what', ({ documents, profile, finds }) => {
    expect(found(documents, profile)).toEqual(finds);
  });

  const text = service('type: NodePort\nports:\n  - port: 80\n    nodePort: 80');
  const findings = lint(parseManifests('dir/x y.yaml', text));

  it.each([
    [
      'a port that is no number',
      service('ports: [{port: http}]'),
      /^x\.yaml:7: json: cannot unmarshal string/,
    ],
    [
      'a Service that is no map',
      'apiVersion: v1\nkind: Service\nspec: [1]\n',
      /^x\.yaml:3: json: cannot unmarshal array/,
    ],
  ])('refuses %s, with file and line', (_, text, message) => {
    expect(() => lint(parseManifests('x.yaml', text))).toThrow(message);
  });

  it.each([
    'apiVersion: v1\nkind: Service\nmetadata:\nspec:\n',
    'apiVersion: v1\nkind: Service\nspec: {ports: [{}], selector: {a: b}, loadBalancerSourceRanges: [nonsense]}\n',
    'apiVersion: apps/v1\nkind: Deployment\n',
    'apiVersion: batch/v1\nkind: Job\nspec:\n',
    'apiVersion: example.com/v1\nkind: Service\nspec: {ports: none}\n',
    'kind: 3\n',
  ])('takes what says little: %j', (text) => {
    expect(() => lint(parseManifests('x.yaml', text), profileOf({}))).not.toThrow();
  });

  it('says where, and what to do', () => {
    expect(lintText(findings)).toBe(
      'dir/x y.yaml:10: error FL029 Service default/web: nodePort 80 is not in 30000-32767\n' +
        '    choose one of 30000-32767, or leave nodePort out\n',
    );
    expect(JSON.parse(lintJson(findings))).toMatchObject({
      findings: [{ code: 'FL029', file: 'dir/x y.yaml', line: 10 }],
    });
  });

  it('prints SARIF 2.1.0 whose results point at their rule and line', () => {
    const { version, runs } = JSON.parse(lintSarif(findings));
    const [{ tool, results }] = runs;
    const [{ ruleId, ruleIndex, level, locations }] = results;
    expect({ version, ruleId, level, named: tool.driver.rules[ruleIndex].id }).toEqual({
      version: '2.1.0',
      ruleId: 'FL029',
      level: 'error',
      named: 'FL029',
    });
    expect(locations[0].physicalLocation).toEqual({
      artifactLocation: { uri: 'dir/x%20y.yaml' },
      region: { startLine: 10 },
    });
  });
});
