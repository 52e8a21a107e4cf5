import { describe, expect, it } from 'vitest';
import { ALL_RESOURCES, apiVersionOf } from '../resources.ts';
import { isList, isObject, type Json, type JsonObject } from './json.ts';
import { openApiTextAt, openApiV2, openApiV3, openApiV3Index } from './openapi.ts';

function references(value: Json | undefined): string[] {
  if (isList(value)) return value.flatMap(references);
  if (!isObject(value)) return [];
  const own = typeof value.$ref === 'string' ? [value.$ref] : [];
  return [...own, ...Object.values(value).flatMap(references)];
}

const at = (value: Json | undefined, ...names: string[]): Json | undefined =>
  names.reduce<Json | undefined>((inner, name) => (isObject(inner) ? inner[name] : undefined), value);

const served = [...new Set(ALL_RESOURCES.map(apiVersionOf))];
const documentOf = (apiVersion: string): JsonObject => {
  const [group, version] = apiVersion.includes('/') ? apiVersion.split('/') : ['', apiVersion];
  return openApiV3(group ?? '', version ?? '') ?? {};
};

describe('OpenAPI', () => {
  it('refers to no definition that is missing', () => {
    for (const apiVersion of served) {
      const document = documentOf(apiVersion);
      const names = Object.keys(at(document, 'components', 'schemas') as JsonObject);
      const wanted = references(document).map((ref) => ref.replace('#/components/schemas/', ''));
      expect(wanted.filter((name) => !names.includes(name))).toEqual([]);
    }
    const document = openApiV2();
    const names = Object.keys(document.definitions as JsonObject);
    expect(references(document).filter((ref) => !names.includes(ref.replace('#/definitions/', '')))).toEqual(
      [],
    );
  });

  it('says of every kind what it is, and of every write that it takes fieldValidation', () => {
    for (const resource of ALL_RESOURCES) {
      const { group, version, kind } = resource;
      const document = documentOf(apiVersionOf(resource));
      const schemas = Object.values(at(document, 'components', 'schemas') as JsonObject);
      const kinds = schemas.flatMap((one) => at(one, 'x-kubernetes-group-version-kind') ?? []);
      expect(kinds).toContainEqual({ group, version, kind });
      const patches = Object.values(document.paths as JsonObject).flatMap((item) => at(item, 'patch') ?? []);
      const patch = patches.find((one) => at(one, 'x-kubernetes-group-version-kind', 'kind') === kind);
      expect(at(patch, 'parameters')).toContainEqual(
        expect.objectContaining({ name: 'fieldValidation', in: 'query' }),
      );
    }
  });

  it('carries the merge keys and list types of the fields', () => {
    const spec = at(documentOf('v1'), 'components', 'schemas', 'io.k8s.api.core.v1.ServiceSpec');
    expect(at(spec, 'properties', 'ports')).toMatchObject({
      type: 'array',
      'x-kubernetes-list-type': 'map',
      'x-kubernetes-list-map-keys': ['port', 'protocol'],
      'x-kubernetes-patch-merge-key': 'port',
      'x-kubernetes-patch-strategy': 'merge',
    });
    const port = at(documentOf('v1'), 'components', 'schemas', 'io.k8s.api.core.v1.ServicePort');
    expect(port).toMatchObject({
      required: ['port'],
      properties: { port: { type: 'integer', format: 'int32' } },
    });
  });

  it('is found where the index says, and nowhere else', () => {
    const index = Object.values(openApiV3Index().paths as JsonObject);
    expect(index).toHaveLength(served.length);
    for (const entry of index) {
      const [path = '', query] = String(at(entry, 'serverRelativeURL')).split('?');
      expect(query).toMatch(/^hash=[0-9a-f]{8}$/);
      expect(JSON.parse(String(openApiTextAt(path, undefined)?.body))).toHaveProperty('openapi', '3.0.0');
    }
    expect(openApiTextAt('/openapi/v3/apis/batch/v1', undefined)).toBeUndefined();
    expect(openApiTextAt('/openapi/v3api/v1', undefined)).toBeUndefined();
  });
});
