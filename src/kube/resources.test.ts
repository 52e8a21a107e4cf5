import { describe, expect, it } from 'vitest';
import { apiVersionOf, pathOf, RESOURCES, resourceOf } from './resources.ts';

describe('resources', () => {
  it('make the paths of the API', () => {
    expect(pathOf(RESOURCES.pods, 'default', 'a', 'log')).toBe('/api/v1/namespaces/default/pods/a/log');
    expect(pathOf(RESOURCES.deployments)).toBe('/apis/apps/v1/deployments');
    expect(pathOf(RESOURCES.nodes, undefined, 'n1')).toBe('/api/v1/nodes/n1');
  });

  it('are found by apiVersion and kind', () => {
    expect(resourceOf('apps/v1', 'Deployment')).toBe(RESOURCES.deployments);
    expect(resourceOf('v1', 'Deployment')).toBeUndefined();
    expect(apiVersionOf(RESOURCES.endpointslices)).toBe('discovery.k8s.io/v1');
  });
});
