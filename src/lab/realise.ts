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
  type NftTable,
  printIpSet,
  printIptablesRuleset,
  printIpvsTable,
  printNftTable,
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
  ipv6Addresses,
  ipv6Lines,
  ipv6SysctlLines,
  linkLine,
  optionalSysctlLines,
  sysctlLines,
} from './commands.ts';
import { ARRIVAL, CARRIAGE, failed, runSteps, type Step } from './steps.ts';

/** How many hosts are set up at once: enough to keep a few cores busy, for every tool waits for the kernel's one lock. */
const SIDE_BY_SIDE = 3;

export async function realise(world: World, cage: Cage): Promise<void> {
  checkWorld(world);
  checkModelled(world);
  try {
    await batch(cage.exec(), 'ip', ['link set dev lo up', ...namespaceLines(world)]);
    const hosts = [...world.hosts.values()];
    const dummies = await dummyKind(hosts, cage.exec());
    await Promise.all(
      Array.from({ length: SIDE_BY_SIDE }, (_, part) => {
        const own = hosts.filter((__, at) => at % SIDE_BY_SIDE === part);
        return runSteps(
          cage.exec(),
          own.flatMap((host) => stepsOf(host, dummies)),
        );
      }),
    );
    // Of all hosts, for a link has its carrier once both its ends are up.
    await runSteps(
      cage.exec(),
      hosts.map(({ netns }) => ({ netns, ...CARRIAGE })),
    );
  } catch (error) {
    await cage.close();
    throw error;
  }
}

/** What was read and is not modelled cannot be built. */
function checkModelled(world: World): void {
  for (const { name, interfaces, routes, routingRules, packetFilter } of world.hosts.values()) {
    const parts = [
      ...interfaces.map((each) => each.unmodelled && `${each.name} (${each.unmodelled})`),
      ...routes.map((route) => (route.kind === 'unmodelled' ? route.text : undefined)),
      ...routingRules.map(({ unmodelled }) => unmodelled?.text),
      ...[packetFilter?.nftables, packetFilter?.laterNftables]
        .flatMap((one) => one?.tables ?? [])
        .map(unmodelledOf),
    ];
    const foreign = parts.find((part) => part !== undefined);
    if (foreign === undefined) continue;
    throw new Fault('FE011', `'${name}' has what cannot be built: ${foreign}`, 'leave out what it printed');
  }
}

function unmodelledOf(table: NftTable): string | undefined {
  try {
    printNftTable(table);
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
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

/** Everything that makes a host, its namespace and links being there. */
function stepsOf(host: Host, dummies: DummyKind): Step[] {
  const { netns } = host;
  const forwarding = forwardingLines(host);
  const some = (step: Step): Step[] => (step.lines.length === 0 ? [] : [step]);
  return [
    ...some({ netns, ...SETTING, lines: ipv6SysctlLines(host) }),
    { netns, file: 'ip', args: BATCH, lines: hostLines(host, dummies) },
    ...some({ netns, file: 'ip', args: ['-6', ...BATCH], lines: ipv6Lines(host) }),
    ...some({ netns, file: 'bridge', args: BATCH, lines: forwarding }),
    { netns, ...SETTING, lines: sysctlLines(host) },
    { netns, ...SETTING_IF_THERE, lines: optionalSysctlLines(host) },
    ...filterSteps(host, host.policies.map(compilePolicy)),
    ...some({ netns, ...ARRIVAL, lines: ipv6Addresses(host) }),
  ];
}

const BATCH = ['-batch', '-'];
const SETTING = { file: 'sysctl', args: ['-q', '-p', '-'] } as const;
const SETTING_IF_THERE = { file: 'sysctl', args: ['-q', '-e', '-p', '-'] } as const;

/** {@link Host.packetFilter}, with further tables of nftables before it. */
function filterSteps({ netns, packetFilter }: Host, before: readonly NftTable[] = []): Step[] {
  const { nftables, laterNftables, iptables = [], ipsets = [], ipvs } = packetFilter ?? {};
  const step = (file: string, args: readonly string[], text: string): Step[] =>
    text === '' ? [] : [{ netns, file, args, lines: [text.replace(/\n$/, '')] }];
  const load = (tables: readonly NftTable[]) =>
    step('nft', ['-f', '-'], tables.map((table) => printNftTransaction(replacementOf(table))).join(''));
  return [
    ...load([...before, ...(nftables?.tables ?? [])]),
    // Before the rules that ask them.
    ...step('ipset', ['restore'], ipsets.map(printIpSet).join('')),
    ...iptables.flatMap((ruleset) => {
      const file = ruleset.family === 4 ? 'iptables-restore' : 'ip6tables-restore';
      return step(file, ['--wait', '5'], printIptablesRuleset(ruleset));
    }),
    ...load(laterNftables?.tables ?? []),
    ...(ipvs === undefined
      ? []
      : [
          { netns, file: 'ipvsadm', args: ['-R'], lines: [printIpvsTable(ipvs).replace(/\n$/, '')] },
          // There is no such key before ip_vs is awake in the namespace.
          { netns, ...SETTING, lines: ['net/ipv4/vs/conntrack = 1'] },
        ]),
  ];
}

/** Loads {@link Host.packetFilter}, which a host that is already there may get anew. */
export async function loadPacketFilter(host: Host, exec: Exec): Promise<void> {
  for (const { file, args, lines } of filterSteps(host)) {
    await exec.run({ file, args, stdin: linesOf(lines) });
  }
}

const linesOf = (lines: readonly string[]): string => lines.map((line) => `${line}\n`).join('');

/** Sets what {@link Host.sysctls} says; a key the kernel lacks is an error unless lacking it comes to the same. */
export async function setSysctls(host: Host, exec: Exec): Promise<void> {
  await exec.run({ ...SETTING, stdin: linesOf(sysctlLines(host)) });
  await exec.run({ ...SETTING_IF_THERE, stdin: linesOf(optionalSysctlLines(host)) });
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
  if (code !== 0) throw failed(netns ?? exec.place.name, { file: tool, args, lines }, stderr);
}
