/** iptables mode with many Services, beside rules of somebody else. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { EndpointSlice, Service } from '../../src/kube/objects.ts';
import { type Cage, openCage } from '../../src/lab/cage.ts';
import { DEFAULT_CONFIG, planService } from '../../src/proxy/proxy.ts';
import { IptablesBackend } from '../../src/sync/iptables-backend.ts';
import { N1 } from './bed.ts';

const NODE = { ...N1, ips: N1.ips.filter(({ family }) => family === 4) };
const ENDPOINTS = 5;
/** More than 1000 endpoints, and more chains than iptables-restore bears in one list. */
const MANY = 210;

const FOREIGN = `*filter
:THEIRS - [0:0]
-A INPUT -s 203.0.113.9/32 -j THEIRS
-A THEIRS -j DROP
COMMIT
*nat
-A POSTROUTING -s 10.9.0.0/16 -j MASQUERADE
COMMIT
`;

let cage: Cage;
beforeAll(async () => {
  cage = await openCage();
  await cage.exec().run({ file: 'iptables-restore', args: ['--noflush'], stdin: FOREIGN });
});
afterAll(() => cage.close());

const service = (at: number): Service => ({
  metadata: { name: `s${at}`, namespace: 'default' },
  spec: { clusterIP: `10.247.1.${at}`, ports: [{ port: 80 }] },
});
const slice = (at: number): EndpointSlice => ({
  metadata: { namespace: 'default', labels: { 'kubernetes.io/service-name': `s${at}` } },
  addressType: 'IPv4',
  ports: [{ port: 8080 }],
  endpoints: Array.from({ length: ENDPOINTS }, (_, which) => ({ addresses: [`172.16.${which + 1}.${at}`] })),
});
const plans = (count: number) =>
  Array.from({ length: count }, (_, at) => planService(NODE, service(at), [slice(at)]).plan);

function backendWith(count: number): IptablesBackend {
  const backend = new IptablesBackend(cage.exec(), NODE, DEFAULT_CONFIG);
  for (const [at, plan] of plans(count).entries()) backend.replace(`default/s${at}`, plan);
  return backend;
}

const saved = async () => (await cage.exec().run({ file: 'iptables-save', args: [] })).stdout.split('\n');
const theirs = async () => (await saved()).filter((line) => line.startsWith('-A') && !line.includes('KUBE-'));
const comments = async () => (await saved()).filter((line) => line.includes('default/s7 ->')).length;

/** The rules of the table nat. */
function natRules(lines: readonly string[]): readonly string[] {
  const from = lines.indexOf('*nat');
  return lines.slice(from, lines.indexOf('COMMIT', from)).filter((line) => line.startsWith('-A'));
}

it('loads them all, finds them again, and touches nothing of the others', async () => {
  const before = await theirs();
  const backend = backendWith(MANY);
  await backend.restore();
  expect((await saved()).filter((line) => line.startsWith(':KUBE-SEP-'))).toHaveLength(MANY * ENDPOINTS);
  expect(await theirs()).toEqual(before);
  const counted = backend.ruleCounts().find(({ table }) => table === 'nat');
  const ours = natRules(await saved()).filter((line) => line.includes('KUBE-')).length;
  expect(counted).toEqual({ family: 4, table: 'nat', total: ours, written: ours });
  // A daemon that starts anew finds all as it would write it.
  expect((await backendWith(MANY).restore()).changed).toBe(false);
});

it('comments on single endpoints up to a thousand of them, as kube-proxy does', async () => {
  expect(await comments()).toBe(0);
  const backend = backendWith(MANY);
  await backend.restore();
  for (let at = 170; at < MANY; at++) backend.replace(`default/s${at}`, undefined);
  await backend.apply();
  expect(await comments()).toBe(ENDPOINTS);
  expect((await backendWith(170).restore()).changed).toBe(false);
});

it('leaves the rules of others when it takes away its own', async () => {
  const before = await theirs();
  await backendWith(0).cleanup();
  expect((await saved()).filter((line) => line.includes('KUBE-'))).toEqual([]);
  expect(await theirs()).toEqual(before);
  expect(before).toContain('-A THEIRS -j DROP');
});
