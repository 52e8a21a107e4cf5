/** The bed in the kernel: a network namespace for each machine, in a cage that takes all of it along when it closes. */
import type { Exec } from '../../src/exec/exec.ts';
import type { Cage } from '../../src/lab/cage.ts';
import { hostLines, ipv6Lines } from '../../src/lab/commands.ts';
import { batch, loadPacketFilter, realise } from '../../src/lab/realise.ts';
import { IPVS_INTERFACE } from '../../src/proxy/proxy.ts';
import type { Host, World } from '../../src/world/world.ts';
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
    await realise(world, cage);
    await Promise.all(Array.from(world.hosts.values(), ({ netns }) => roomForMany(cage.exec(netns))));
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

  /** A process of n1 answers datagrams from the address they came to, so it listens there and nowhere else. */
  async #answer({ name, netns, listeners }: Host): Promise<void> {
    if (listeners.length === 0) return;
    const wanted = listeners.map(({ protocol, port, addr }) => [protocol, addr?.text, port]);
    const at = wanted.map((parts) => parts.filter((part) => part !== undefined).join('/'));
    await startResponder(this.cage.exec(netns), name, at);
  }
}

/** IPVS' servers, its sets and kube-ipvs0 in the place of those before. */
async function bindAnew(node: Host, exec: Exec): Promise<void> {
  await exec.run({ file: 'ipvsadm', args: ['-C'] });
  await exec.run({ file: 'ipset', args: ['destroy'] });
  await exec.run({ file: 'ip', args: ['link', 'del', IPVS_INTERFACE], accept: [0, 1] });
  const interfaces = node.interfaces.filter(({ name }) => name === IPVS_INTERFACE);
  const alone: Host = { ...node, interfaces, routes: [], neighbours: [], routingRules: [] };
  await batch(exec, 'ip', [...hostLines(alone), ...ipv6Lines(alone)]);
}

/** A crowd that is refused takes more ICMP errors at once than a kernel grants. */
async function roomForMany(exec: Exec): Promise<void> {
  const stdin = ['net/ipv4/icmp_msgs_burst = 10000', 'net/netfilter/nf_conntrack_max = 262144'].join('\n');
  await exec.run({ file: 'sysctl', args: ['-qe', '-p', '-'], stdin });
}
