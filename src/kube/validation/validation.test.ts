import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { applyDefaults } from '../defaults.ts';
import type { KubeObject } from '../objects.ts';
import { RESOURCES, resourceOf } from '../resources.ts';
import { clusterIPInUse, clusterIPOutOfRange, nodePortInUse, nodePortOutOfRange } from './allocation.ts';
import { textOf, toStatus, validateCreate, validateUpdate } from './validation.ts';

interface Case {
  readonly title: string;
  readonly objects: readonly KubeObject[];
  readonly wanted: readonly string[];
}

/**
 * Cases as text: the object, and for updates the object that replaces it, then after `=>` what is wrong, one message a
 * line. Objects get a name, a namespace, a resourceVersion and their defaults, so that a case shows what it is about.
 */
function casesOf(file: string): Case[] {
  const text = readFileSync(new URL(`testdata/${file}`, import.meta.url), 'utf8');
  return text
    .split(/^# /m)
    .slice(1)
    .map((one) => {
      const [title = ''] = one.split('\n', 1);
      const [manifests = '', messages = ''] = one.slice(title.length).split(/^=>$/m);
      return {
        title,
        objects: parseAllDocuments(manifests).map((document) => completed(document.toJS())),
        wanted: messages.split('\n').filter((line) => line !== ''),
      };
    });
}

const resourceFor = ({ apiVersion = '', kind = '' }: KubeObject) => {
  const found = resourceOf(apiVersion, kind);
  if (found === undefined) throw new Error(`no resource for ${apiVersion} ${kind}`);
  return found;
};

function completed(object: KubeObject): KubeObject {
  const resource = resourceFor(object);
  const namespace = resource.namespaced ? { namespace: 'default' } : {};
  const metadata = { name: 'x', resourceVersion: '1', ...namespace, ...object.metadata };
  return applyDefaults(resource, { ...object, metadata });
}

function errorsOf([first, second]: readonly KubeObject[]): string[] {
  if (first === undefined) throw new Error('a case without an object');
  const resource = resourceFor(first);
  const errors =
    second === undefined ? validateCreate(resource, first) : validateUpdate(resource, second, first);
  return errors.map(textOf);
}

describe.each(['meta.txt', 'services.txt', 'pods.txt', 'workloads.txt', 'others.txt'])('%s', (file) => {
  it.each(casesOf(file))('$title', ({ objects, wanted }) => {
    expect(errorsOf(objects)).toEqual(wanted);
  });
});

describe('validation', () => {
  it('knows the families of the service ranges', () => {
    const service = completed({
      apiVersion: 'v1',
      kind: 'Service',
      spec: { ports: [{ port: 80 }], ipFamilies: ['IPv6', 'IPv4'], ipFamilyPolicy: 'RequireDualStack' },
    } as KubeObject);
    const errors = validateCreate(RESOURCES.services, service, { serviceFamilies: ['IPv4'] });
    expect(errors.map(textOf)).toEqual([
      'spec.ipFamilies[0]: Invalid value: "IPv6": not configured on this cluster',
      'spec.ipFamilyPolicy: Invalid value: "RequireDualStack": this cluster is not configured for dual-stack services',
    ]);
  });

  it('looks at the status alone when it is written', () => {
    const pod = completed({ apiVersion: 'v1', kind: 'Pod' });
    expect(validateUpdate(RESOURCES.pods, pod, pod, { subresource: 'status' })).toEqual([]);
    expect(validateUpdate(RESOURCES.pods, pod, pod).map(textOf)).toEqual(['spec.containers: Required value']);
  });

  it('checks what a balancer writes', () => {
    const service = completed({
      apiVersion: 'v1',
      kind: 'Service',
      spec: { type: 'LoadBalancer', ports: [{ port: 80 }] },
      status: {
        loadBalancer: { ingress: [{ ip: '192.0.2.300' }, { hostname: '192.0.2.1', ipMode: 'VIP' }] },
      },
    } as KubeObject);
    const errors = validateUpdate(RESOURCES.services, service, service, { subresource: 'status' });
    expect(errors.map(textOf)).toEqual([
      'status.loadBalancer.ingress[0].ip: Invalid value: "192.0.2.300": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)',
      'status.loadBalancer.ingress[1].ipMode: Forbidden: may not be specified when `ip` is not set',
      'status.loadBalancer.ingress[1].hostname: Invalid value: "192.0.2.1": must be a DNS name, not an IP address',
    ]);
  });

  it('answers 422 with a cause a field', () => {
    const service = completed({
      apiVersion: 'v1',
      kind: 'Service',
      spec: { ports: [{ port: 0 }] },
    } as KubeObject);
    const status = toStatus(RESOURCES.services, 'x', validateCreate(RESOURCES.services, service));
    expect(status).toMatchObject({ status: 'Failure', reason: 'Invalid', code: 422 });
    expect(status.message).toBe(
      'Service "x" is invalid: [spec.ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive, spec.ports[0].targetPort: Invalid value: 0: must be between 1 and 65535, inclusive]',
    );
    expect(status.details).toEqual({
      name: 'x',
      kind: 'Service',
      causes: [
        {
          reason: 'FieldValueInvalid',
          message: 'Invalid value: 0: must be between 1 and 65535, inclusive',
          field: 'spec.ports[0].port',
        },
        {
          reason: 'FieldValueInvalid',
          message: 'Invalid value: 0: must be between 1 and 65535, inclusive',
          field: 'spec.ports[0].targetPort',
        },
      ],
    });
  });

  it('says the group of a kind that has one, and a message once', () => {
    const error = { type: 'Required value', field: 'spec.selector', detail: '' } as const;
    const status = toStatus(RESOURCES.deployments, 'web', [error, error]);
    expect(status.message).toBe('Deployment.apps "web" is invalid: spec.selector: Required value');
    expect(status.details).toMatchObject({ group: 'apps', kind: 'Deployment' });
  });

  it('says what is taken and what is out of range', () => {
    expect(
      [
        clusterIPInUse('10.247.0.1'),
        clusterIPOutOfRange('10.0.0.1', ['10.247.0.0/16']),
        nodePortInUse('spec.ports[1].nodePort', 30120),
        nodePortOutOfRange('spec.ports[0].nodePort', 80, '30000-32767'),
      ].map(textOf),
    ).toEqual([
      'spec.clusterIPs: Invalid value: ["10.247.0.1"]: failed to allocate IP 10.247.0.1: provided IP is already allocated',
      'spec.clusterIPs: Invalid value: ["10.0.0.1"]: failed to allocate IP 10.0.0.1: the provided IP (10.0.0.1) is not in the valid range. The range of valid IPs is 10.247.0.0/16',
      'spec.ports[1].nodePort: Invalid value: 30120: provided port is already allocated',
      'spec.ports[0].nodePort: Invalid value: 80: provided port is not in the valid range. The range of valid ports is 30000-32767',
    ]);
  });
});
