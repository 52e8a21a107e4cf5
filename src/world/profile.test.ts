import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import {
  apiServiceAddress,
  dnsServiceAddress,
  familiesOf,
  isAtLeast,
  parseProfile,
  profileOf,
  rangesOf,
  specOf,
} from './profile.ts';

const document = (spec: string) =>
  parse(`{apiVersion: fairlead.dev/v1alpha1, kind: ClusterProfile, metadata: {name: mine}, spec: {${spec}}}`);

describe('a ClusterProfile', () => {
  it('is read from its document', () => {
    const profile = parseProfile(
      document(
        'cloud: cce, network: tunnel, proxyMode: ipvs, kubernetesVersion: "1.28", podCIDR: 10.0.0.0/16',
      ),
    );
    expect(profile).toMatchObject({
      name: 'mine',
      cloud: 'cce',
      proxyMode: 'ipvs',
      kubernetesVersion: { major: 1, minor: 28 },
      masqueradeAll: true,
      detectLocal: 'None',
    });
    expect(profile.podCIDR.text).toBe('10.0.0.0/16');
    expect(apiServiceAddress(profile).text).toBe('10.247.0.1');
    expect(dnsServiceAddress(profile).text).toBe('10.247.3.10');
  });

  it('has the defaults of its cloud', () => {
    expect(specOf(profileOf({ cloud: 'cce' }))).toMatchObject({ network: 'tunnel', masqueradeAll: true });
    expect(specOf(profileOf({ cloud: 'cce', network: 'eni' }))).toMatchObject({ masqueradeAll: false });
    expect(specOf(profileOf({ cloud: 'ack' }))).toMatchObject({ network: 'eni', proxyMode: 'ipvs' });
    expect(specOf(profileOf({}))).toMatchObject({ cloud: 'generic', proxyMode: 'nftables' });
  });

  it.each(['cce', 'ack', 'tke', 'generic'])('of %s is read back from its spec', (cloud) => {
    const profile = profileOf({ cloud });
    expect(profileOf(specOf(profile))).toEqual(profile);
  });

  it('has a page that tells of each field', () => {
    const page = readFileSync(new URL('../../docs/cluster-profile.md', import.meta.url), 'utf8');
    const told = [...page.matchAll(/^\| (`[^|]*`) \|/gm)].flatMap(
      ([, cell = '']) => cell.match(/\w+/g) ?? [],
    );
    const kinds = ['LoadBalancer', 'NatGateway', 'Host'];
    expect(told.filter((word) => !kinds.includes(word))).toEqual(Object.keys(specOf(profileOf({}))));
  });

  it('orders versions by number', () => {
    const { kubernetesVersion } = profileOf({ kubernetesVersion: 'v1.9.11-gke.3' });
    expect(isAtLeast(kubernetesVersion, 1, 24)).toBe(false);
    expect(isAtLeast(kubernetesVersion, 1, 9)).toBe(true);
  });

  it.each([
    ['cloud: aws', 'FE006', "'aws' is no cloud"],
    ['networks: tunnel', 'FE006', "'networks' is no profile field"],
    ['kubernetesVersion: 1.30', 'FE006', 'spec.kubernetesVersion of a ClusterProfile is no text'],
    ['kubernetesVersion: latest', 'FE006', "'latest' is no Kubernetes version"],
    ['masqueradeAll: maybe', 'FE006', "'maybe' is no masqueradeAll"],
    ['podCIDR: 10.0.0.0', 'FE006', "'10.0.0.0' is not a prefix"],
    ['podCIDR: 10.247.0.0/16', 'FE011', 'the serviceCIDR 10.247.0.0/16 overlaps the podCIDR 10.247.0.0/16'],
    ['podCIDR: 192.168.9.0/24', 'FE011', 'the podCIDR 192.168.9.0/24 overlaps the vpcCIDR 192.168.0.0/16'],
    [
      'network: eni, podCIDR: 10.1.0.0/16',
      'FE011',
      'with the network eni pods have addresses of the VPC, and the podCIDR 10.1.0.0/16 is not in 192.168.0.0/16',
    ],
  ])('refuses %s', (spec, code, message) => {
    expect(() => parseProfile(document(spec))).toThrow(expect.objectContaining({ code, message }));
  });

  it('refuses another kind', () => {
    expect(() => parseProfile({ apiVersion: 'v1', kind: 'Pod' })).toThrow(/v1 Pod is not a ClusterProfile/);
  });

  it('has the ranges of each family, in the order that is asked for', () => {
    const dual = profileOf({ ipFamilies: 'IPv6,IPv4', podCIDR: '10.1.0.0/16' });
    expect(rangesOf(dual).map(({ podCIDR }) => podCIDR.text)).toEqual(['fd00:172:16::/48', '10.1.0.0/16']);
    expect(profileOf(specOf(dual))).toEqual(dual);
    // As Kubernetes' own --cluster-cidr says it; what is left out has the default of the family.
    expect(familiesOf(profileOf({ podCIDR: '10.1.0.0/16,fd01::/48' }))).toEqual([4, 6]);
    expect(familiesOf(profileOf({ podCIDR: 'fd01::/48' }))).toEqual([6]);
    expect(rangesOf(profileOf({ network: 'eni', ipFamilies: 'IPv4,IPv6' }))).toHaveLength(2);
  });

  it.each([
    [{ ipFamilies: 'IPv4,IPv4' }, 'name one twice'],
    [{ ipFamilies: 'v6' }, "'v6' is no IP family"],
    [{ podCIDR: '10.1.0.0/16,10.2.0.0/16' }, 'two ranges of one family'],
    [{ ipFamilies: 'IPv4', podCIDR: 'fd01::/48' }, 'a range is of IPv6'],
    [{ ipFamilies: 'IPv6', serviceCIDR: 'fd00:172:16::/112' }, 'overlaps'],
  ])('refuses families that contradict each other: %j', (spec, message) => {
    expect(() => profileOf(spec)).toThrow(message);
  });
});
