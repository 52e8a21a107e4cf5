/** The bed in the kernel: a network namespace for each machine, in a cage that takes all of it along when it closes. */
import type { Exec } from '../../src/exec/exec.ts';
import type { Cage } from '../../src/lab/cage.ts';
import { hostLines, interfaceLines, linkLine, sysctlLines } from '../../src/lab/commands.ts';
import { batch, loadPacketFilter } from '../../src/lab/realise.ts';
import { IPVS_INTERFACE } from '../../src/proxy/proxy.ts';
import type { Host, Veth, World } from '../../src/world/world.ts';
import { hostOf } from '../../src/world/world.ts';
import { worldOf } from './bed.ts';
import { startResponder } from './dial.ts';
import { startHealthServers } from './health.ts';
import type { Case } from './vectors.ts';

export class Stand {
  readonly cage: Cage;

  private constructor(cage: Cage) {
    this.cage = cage;
  }

  /** Builds the machines and starts whatever answers to the cases; the rules come with {@link load}. */
  static async open(cases: readonly Case[], cage: Cage): Promise<Stand> {
    const world = worldOf({ packetFilter: {}, healthPorts: [] });
    const stand = new Stand(cage);
    await stand.#build(world);
    await Promise.all([
      ...Array.from(world.hosts.values(), (host) => stand.#answer(host)),
      startHealthServers(cage.exec('n1'), cases),
    ]);
    return stand;
  }

  close(): Promise<void> {
    return this.cage.close();
  }

  /** Puts the rules of a World in the place of those before, with no memory of earlier connections. */
  async load(world: World): Promise<void> {
    const node = hostOf(world, 'n1');
    const exec = this.cage.exec('n1');
    await exec.run({ file: 'nft', args: ['flush', 'ruleset'] });
    if (node.packetFilter?.ipvs !== undefined) await bindAnew(node, exec);
    await loadPacketFilter(node, exec);
    const routeLocalnet = Number(node.sysctls.routeLocalnet ?? false);
    await exec.run({ file: 'sysctl', args: ['-qw', `net.ipv4.conf.all.route_localnet=${routeLocalnet}`] });
    await exec.run({ file: 'conntrack', args: ['-F'] });
  }

  async #build(world: World): Promise<void> {
    const hosts = [...world.hosts.values()];
    await batch(
      this.cage.exec(),
      'ip',
      hosts.map(({ netns }) => `netns add ${netns}`),
    );
    for (const host of hosts) {
      await this.cage
        .exec(host.netns)
        .run({ file: 'sysctl', args: ['-qe', '-p', '-'], stdin: earlySysctls(host) });
    }
    const links = world.links.map(({ a, b }) =>
      linkLine(
        { netns: a.host, interface: vethOf(world, a) },
        { netns: b.host, interface: vethOf(world, b) },
      ),
    );
    await batch(this.cage.exec(), 'ip', links);
    for (const host of hosts) {
      const exec = this.cage.exec(host.netns);
      await batch(exec, 'ip', hostLines(host));
      await exec.run({ file: 'sysctl', args: ['-q', '-p', '-'], stdin: sysctlLines(host).join('\n') });
    }
  }

  /** A process of n1 answers datagrams from the address they came to, so it listens there and nowhere else. */
  async #answer({ name, netns, listeners }: Host): Promise<void> {
    if (listeners.length === 0) return;
    const wanted = listeners.map(({ protocol, port, addr }) => [protocol, addr?.text, port]);
    const at = wanted.map((parts) => parts.filter((part) => part !== undefined).join('/'));
    await startResponder(this.cage.exec(netns), name, at);
  }
}

/** IPVS' servers, its sets and kube-ipvs0 in the place of those before. */
async function bindAnew({ interfaces }: Host, exec: Exec): Promise<void> {
  await exec.run({ file: 'ipvsadm', args: ['-C'] });
  await exec.run({ file: 'ipset', args: ['destroy'] });
  await exec.run({ file: 'ip', args: ['link', 'del', IPVS_INTERFACE], accept: [0, 1] });
  const bound = interfaces.filter(({ name }) => name === IPVS_INTERFACE);
  await batch(
    exec,
    'ip',
    bound.flatMap((each) => interfaceLines(each)),
  );
}

/** What has to be set before there are links: addresses of IPv6 are good at once, and nobody is kept waiting for a refusal. */
function earlySysctls({ sysctls }: Host): string {
  return [
    ...['all', 'default'].flatMap((name) => [
      `net/ipv6/conf/${name}/accept_dad = 0`,
      `net/ipv6/conf/${name}/disable_ipv6 = 0`,
      `net/ipv6/conf/${name}/accept_ra = 0`,
    ]),
    `net/ipv6/conf/all/forwarding = ${Number(sysctls.ipForward)}`,
    'net/ipv4/icmp_ratelimit = 0',
    'net/ipv4/icmp_msgs_per_sec = 100000',
    'net/ipv4/icmp_msgs_burst = 10000',
    'net/ipv6/icmp/ratelimit = 0',
    'net/netfilter/nf_conntrack_max = 262144',
  ].join('\n');
}

function vethOf(world: World, at: { readonly host: string; readonly interface: string }): Veth {
  const found = hostOf(world, at.host).interfaces.find((one) => one.name === at.interface);
  if (found?.kind !== 'veth') throw new Error(`${at.host} has no veth ${at.interface}`);
  return found;
}
