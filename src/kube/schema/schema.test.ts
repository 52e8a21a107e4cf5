import { describe, expect, it } from 'vitest';
import { RESOURCES, type ResourceName } from '../resources.ts';
import { applyPatch, decodeBody, type FieldValidation, PATCH_TYPES, RequestProblem } from './schema.ts';

function decode(
  resource: ResourceName,
  body: unknown,
  validation: FieldValidation = 'Strict',
  type = 'application/json',
) {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  return decodeBody(RESOURCES[resource], new TextEncoder().encode(text), type, validation);
}

function problem(run: () => unknown): RequestProblem {
  try {
    run();
  } catch (error) {
    if (error instanceof RequestProblem) return error;
    throw error;
  }
  throw new Error('expected a RequestProblem');
}

const handled = (kind: string, why: string) =>
  `${kind} in version "v1" cannot be handled as a ${kind}: ${why}`;

describe('decoding a body', () => {
  it.each([
    [
      { spec: { selector: 'x' } },
      'json: cannot unmarshal string into Go struct field ServiceSpec.spec.selector of type map[string]string',
    ],
    [
      { spec: { ports: [{ port: 'x' }] } },
      'json: cannot unmarshal string into Go struct field ServicePort.spec.ports.port of type int32',
    ],
    [
      { spec: { ports: [{ port: 2 ** 31 }] } },
      'json: cannot unmarshal number 2147483648 into Go struct field ServicePort.spec.ports.port of type int32',
    ],
    [
      { spec: { type: 1 } },
      'json: cannot unmarshal number into Go struct field ServiceSpec.spec.type of type v1.ServiceType',
    ],
    [
      { metadata: [] },
      'json: cannot unmarshal array into Go struct field Service.metadata of type v1.ObjectMeta',
    ],
    [
      { spec: { foo: 1, ports: [{ port: 80, x: 2 }] } },
      'strict decoding error: unknown field "spec.foo", unknown field "spec.ports[0].x"',
    ],
    ['{"metadata":{"name":"a","name":"b"}}', 'strict decoding error: duplicate field "metadata.name"'],
    [
      '{"spec":{"ports":[{"port":1},{"port":1,"port":2}]}}',
      'strict decoding error: duplicate field "spec.ports[1].port"',
    ],
  ])('refuses %j in upstream’s words', (body, why) => {
    const { code, reason, message } = problem(() => decode('services', body));
    expect({ code, reason, message }).toEqual({
      code: 400,
      reason: 'BadRequest',
      message: handled('Service', why),
    });
  });

  it('warns of what it drops, or drops it in silence, as asked', () => {
    const body = { metadata: { name: 'a' }, spec: { foo: 1 } };
    const object = {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 'a' },
      spec: {},
      status: { loadBalancer: {} },
    };
    expect(decode('services', body, 'Warn')).toEqual({ object, warnings: ['unknown field "spec.foo"'] });
    expect(decode('services', body, 'Ignore')).toEqual({ object, warnings: [] });
  });

  it('stores values in canonical form and leaves out empty ones', () => {
    const limits = { cpu: 0.5, memory: '1024Mi', storage: '1e3', big: '1.5Gi', small: '0.1m' };
    const { object } = decode('pods', {
      metadata: {
        name: 'a',
        labels: {},
        annotations: null,
        creationTimestamp: '2026-01-02T03:04:05.678+02:00',
      },
      spec: {
        hostNetwork: false,
        volumes: [{ name: 'v', emptyDir: {} }],
        containers: [{ name: 'c', resources: { limits } }],
      },
    });
    expect(object).toEqual({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'a', creationTimestamp: '2026-01-02T01:04:05Z' },
      spec: {
        volumes: [{ name: 'v', emptyDir: {} }],
        containers: [
          {
            name: 'c',
            resources: {
              limits: { cpu: '500m', memory: '1Gi', storage: '1e3', big: '1536Mi', small: '100u' },
            },
          },
        ],
      },
      status: {},
    });
  });

  it('reads YAML as Go does: on is a boolean, a date a string, a name twice a strict error', () => {
    const text = 'kind: ConfigMap\ndata: {a: 2026-01-01}\nimmutable: on\n';
    expect(decode('configmaps', text, 'Strict', 'application/yaml').object).toMatchObject({
      data: { a: '2026-01-01' },
      immutable: true,
    });
    const twice = 'data: {a: b}\ndata: {a: c}\n';
    expect(problem(() => decode('configmaps', twice, 'Strict', 'application/yaml')).message).toContain(
      'already set in map',
    );
    expect(decode('configmaps', twice, 'Warn', 'application/yaml').warnings).toHaveLength(1);
  });

  it.each(['A', 'AB=', 'A===', 'AB==CDEF', 'AB*=', 'é'])('refuses %s as bytes', (text) => {
    expect(problem(() => decode('secrets', { data: { a: text } })).message).toMatch(
      /illegal base64 data at input byte \d+$/,
    );
  });

  it('takes long texts and refuses endless nesting', () => {
    const long = 'x"\\'.repeat(900_000);
    expect(decode('configmaps', { data: { long } }).object.data).toEqual({ long });
    const deep = `{"metadata":${'['.repeat(1_000_000)}`;
    expect(problem(() => decode('pods', deep)).message).toContain('exceeded max depth');
    const patch = new TextEncoder().encode(`${'{"a":'.repeat(100_000)}1${'}'.repeat(100_000)}`);
    expect(problem(() => applyPatch(RESOURCES.pods, {}, patch, PATCH_TYPES.merge)).code).toBe(400);
  });

  it('refuses another kind, another version, no object, broken text and unknown media types', () => {
    expect(problem(() => decode('pods', { apiVersion: 'v1', kind: 'Foo' })).message).toBe(
      'Foo in version "v1" cannot be handled as a Pod: no kind "Foo" is registered for version "v1"',
    );
    expect(problem(() => decode('deployments', { apiVersion: 'apps/v2', kind: 'Deployment' })).message).toBe(
      'the API version in the data (apps/v2) does not match the expected API version (apps/v1)',
    );
    for (const body of ['[]', '{', '', 'null']) {
      expect(problem(() => decode('pods', body))).toMatchObject({
        code: 400,
        message: expect.stringContaining('the object provided is unrecognized (must be of type Pod)'),
      });
    }
    expect(problem(() => decode('pods', '{}', 'Strict', 'text/plain'))).toMatchObject({ code: 415 });
  });
});
