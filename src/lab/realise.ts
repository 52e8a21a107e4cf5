/**
 * Builds a World out of network namespaces.
 *
 * Promises: what stands afterwards is the World and nothing else; it is built by few commands, hosts side by side; a step
 * that fails is named with its host, its line and what the tool said, and the cage is closed. On a kernel without dummy
 * links an ifb link stands for each: it drops what is sent by it as well, and its addresses are the host's own.
 * Refuses: a World that contradicts itself (FE011), before anything is built; a cage in which something stands already.
 *
 * @example
 * const cage = await openCage();
 * await realise(buildCluster({ profile, nodes: defaultNodes(profile, 3) }), cage);
 * await cage.exec('n1').run({ file: 'ip', args: ['route'] });
 */
import type { Exec } from '../exec/exec.ts';
import { Fault } from '../fault/fault.ts';
import {
  printIpSet,
  printIptablesRuleset,
  printIpvsTable,
  printNftTransaction,
  replacementOf,
} from '../netfilter/netfilter.ts';
import { checkWorld } from '../world/check.ts';
import { compilePolicy } from '../world/compile-policy.ts';
import { type Host, hostOf, type LinkEnd, type Veth, type World } from '../world/world.ts';
import type { Cage } from './cage.ts';
import {
  type DummyKind,
  type End,
  forwardingLines,
  hostLines,
  linkLine,
  optionalSysctlLines,
  sysctlLines,
} from './commands.ts';

/** How many hosts are set up at once: enough to keep a few cores busy, for every tool waits for the kernel's one lock. */
const SIDE_BY_SIDE = 4;

export async function realise(world: World, cage: Cage): Promise<void> {
  checkWorld(world);
  try {
    await batch(cage.exec(), 'ip', ['link set dev lo up', ...namespaceLines(world)]);
    const hosts = [...world.hosts.values()];
    const dummies = await dummyKind(hosts, cage.exec());
    const next = hosts.values();
    await Promise.all(
      Array.from({ length: SIDE_BY_SIDE }, async () => {
        for (const host of next) await setUp(host, cage.exec(host.netns), dummies);
      }),
    );
  } catch (error) {
    await cage.close();
    throw error;
  }
}

/** What this kernel has for a dummy link, tried where nothing stands yet and only if the World holds one. */
async function dummyKind(hosts: readonly Host[], exec: Exec): Promise<DummyKind> {
  if (!hosts.some((host) => host.interfaces.some(({ kind }) => kind === 'dummy'))) return 'dummy';
  const ip = (...args: string[]) => exec.run({ file: 'ip', args: ['link', ...args], accept: [0, 2] });
  if ((await ip('add', 'trial', 'type', 'dummy')).code !== 0) return 'ifb';
  await ip('del', 'trial');
  return 'dummy';
}

/** The namespaces and the links between them. */
function namespaceLines(world: World): string[] {
  return [
    ...[...world.hosts.values()].map((host) => `netns add ${host.netns}`),
    ...world.links.map(({ a, b }) => linkLine(endOf(world, a), endOf(world, b))),
  ];
}

function endOf(world: World, at: LinkEnd): End {
  const host = hostOf(world, at.host);
  const found = host.interfaces.find(
    (each): each is Veth => each.kind === 'veth' && each.name === at.interface,
  );
  if (found === undefined) throw new Error(`checkWorld let pass a link to '${at.interface}' of '${at.host}'`);
  return { netns: host.netns, interface: found };
}

async function setUp(host: Host, exec: Exec, dummies: DummyKind): Promise<void> {
  await batch(exec, 'ip', hostLines(host, dummies));
  await batch(exec, 'bridge', forwardingLines(host));
  await setSysctls(host, exec);
  const rules = host.policies
    .map((policy) => printNftTransaction(replacementOf(compilePolicy(policy))))
    .join('');
  if (rules !== '') await exec.run({ file: 'nft', args: ['-f', '-'], stdin: rules });
  await loadPacketFilter(host, exec);
}

/** Loads {@link Host.packetFilter}, which a host that is already there may get anew. */
export async function loadPacketFilter({ packetFilter }: Host, exec: Exec): Promise<void> {
  const { nftables, iptables = [], ipsets = [], ipvs } = packetFilter ?? {};
  const tables = (nftables?.tables ?? []).map((table) => printNftTransaction(replacementOf(table)));
  if (tables.length > 0) await exec.run({ file: 'nft', args: ['-f', '-'], stdin: tables.join('') });
  // Before the rules that ask them.
  if (ipsets.length > 0)
    await exec.run({ file: 'ipset', args: ['restore'], stdin: ipsets.map(printIpSet).join('') });
  for (const ruleset of iptables) {
    const file = ruleset.family === 4 ? 'iptables-restore' : 'ip6tables-restore';
    await exec.run({ file, args: ['--wait', '5'], stdin: printIptablesRuleset(ruleset) });
  }
  if (ipvs === undefined) return;
  await exec.run({ file: 'ipvsadm', args: ['-R'], stdin: printIpvsTable(ipvs) });
  // There is no such key before ip_vs is awake in the namespace.
  await exec.run({ file: 'sysctl', args: ['-qw', 'net.ipv4.vs.conntrack=1'] });
}

const linesOf = (lines: readonly string[]): string => lines.map((line) => `${line}\n`).join('');

/** Sets what {@link Host.sysctls} says; a key the kernel lacks is an error unless lacking it comes to the same. */
export async function setSysctls(host: Host, exec: Exec): Promise<void> {
  const needed = sysctlLines(host);
  await exec.run({ file: 'sysctl', args: ['-q', '-p', '-'], stdin: linesOf(needed) });
  await exec.run({
    file: 'sysctl',
    args: ['-q', '-e', '-p', '-'],
    stdin: linesOf(optionalSysctlLines(host)),
  });
}

/** Runs the lines in one process. Throws {@link Fault} FE002 that quotes the line that failed. */
export async function batch(
  exec: Exec,
  tool: 'ip' | 'bridge',
  lines: readonly string[],
  netns?: string,
): Promise<void> {
  if (lines.length === 0) return;
  const args = [...(netns === undefined ? [] : ['-n', netns]), '-batch', '-'];
  const { code, stderr } = await exec.run({
    file: tool,
    args,
    stdin: `${lines.join('\n')}\n`,
    accept: [0, 1, 2, 255],
    timeoutMs: 60_000,
  });
  if (code === 0) return;
  const failed = /Command failed -:(\d+)/.exec(stderr)?.[1];
  const line = failed === undefined ? args.join(' ') : lines[Number(failed) - 1];
  const said = stderr.replace(/\n?Command failed -:\d+\s*/, '').trim();
  throw new Fault(
    'FE002',
    `${netns ?? exec.place.name}: '${tool} ${line}' failed: ${said}`,
    'see its message',
  );
}
