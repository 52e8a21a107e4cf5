import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Addr } from '../../ip/ip.ts';
import type { Pod } from '../../kube/objects.ts';
import type { AddressPool } from '../ipam.ts';
import type { NodeContext } from './node-context.ts';

/** A pod's network as it was set up; kept in the pod's folder for the next agent. */
export interface Sandbox {
  readonly uid: string;
  readonly namespace: string;
  readonly name: string;
  /** The pod's address; the node's with hostNetwork. */
  readonly ip: string;
  /** A name below /run/netns; absent with hostNetwork. */
  readonly netns?: string;
  /** When the agent first saw the pod, milliseconds since 1970: status.startTime. */
  readonly startedAt: number;
}

type Part = Pick<NodeContext, 'podsDir' | 'pool' | 'network' | 'nodeIP' | 'clock'>;

/** The pod's network, made if it is not there. Throws what the network throws; the address stays taken for the next try. */
export async function setUpSandbox(pod: Pod, node: Part): Promise<Sandbox> {
  const { uid = '', namespace = 'default', name = '' } = pod.metadata ?? {};
  const dir = join(node.podsDir, uid);
  const known = readFrom(dir);
  if (known !== undefined) return known;
  const base = { uid, namespace, name, startedAt: node.clock.now() };
  const sandbox =
    pod.spec?.hostNetwork === true ? { ...base, ip: node.nodeIP.text } : await connect(base, node);
  mkdirSync(dir, { recursive: true });
  writeFileSync(join(dir, FILE), JSON.stringify(sandbox));
  return sandbox;
}

async function connect(base: Omit<Sandbox, 'ip' | 'netns'>, node: Part): Promise<Sandbox> {
  const ip = node.pool.take(base.uid);
  const { netns } = await node.network.add({ uid: base.uid, namespace: base.namespace, name: base.name, ip });
  return { ...base, ip: ip.text, netns };
}

/** Takes the pod's network away and frees its address. The folder stays until {@link removePodFolder}. */
export async function tearDownSandbox(uid: string, node: Part): Promise<void> {
  const known = readFrom(join(node.podsDir, uid));
  if (known?.netns !== undefined) await node.network.remove(uid);
  node.pool.release(uid);
  rmSync(join(node.podsDir, uid, FILE), { force: true });
}

export function removePodFolder(uid: string, node: Part): void {
  rmSync(join(node.podsDir, uid), { recursive: true, force: true });
}

/** The sandboxes an earlier agent left; their addresses are marked as taken. */
export function adoptSandboxes(podsDir: string, pool: AddressPool): readonly Sandbox[] {
  const found = readdirSync(podsDir).flatMap((uid) => readFrom(join(podsDir, uid)) ?? []);
  for (const { uid, ip, netns } of found) if (netns !== undefined) pool.keep(uid, Addr.parse(ip));
  return found;
}

const FILE = 'sandbox.json';

/** What {@link setUpSandbox} made earlier, if it is still there. */
export const readSandbox = (uid: string, node: Part): Sandbox | undefined =>
  readFrom(join(node.podsDir, uid));

function readFrom(dir: string): Sandbox | undefined {
  const file = join(dir, FILE);
  return existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as Sandbox) : undefined;
}
