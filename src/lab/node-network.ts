import { access } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import type { Exec } from '../exec/exec.ts';
import { Fault } from '../fault/fault.ts';
import { Addr, Prefix } from '../ip/ip.ts';
import { type AttachmentProfile, type PodAttachment, podAttachment } from '../world/attachment.ts';
import type { NodeFacts } from '../world/facts.ts';
import type { ClusterProfile, Network } from '../world/profile.ts';
import type { Veth } from '../world/world.ts';
import {
  hostLines,
  interfaceLines,
  linkLine,
  neighbourLine,
  routeLine,
  ruleLine,
  ruleWords,
} from './commands.ts';
import type { PodNetwork, PodNetworkRequest } from './pod-network.ts';
import { batch, setSysctls } from './realise.ts';

/** What a node has to know to wire its pods, as JSON. */
export interface NodeNetworkConfig {
  readonly network: Network;
  /** The container CIDR of the cluster. */
  readonly clusterCIDR: string;
  readonly name: string;
  readonly address: string;
  /** The node's own range. */
  readonly podCIDR: string;
}

/** Throws {@link Fault} FE011 for a node without a range: its pods' routes are not the node's to set. */
export function nodeNetworkConfig(profile: ClusterProfile, node: NodeFacts): NodeNetworkConfig {
  if (node.podCIDR === undefined) {
    throw new Fault('FE011', `node '${node.name}' has no podCIDR`, 'give it one');
  }
  return {
    network: profile.network,
    clusterCIDR: profile.podCIDR.text,
    name: node.name,
    address: node.address.text,
    podCIDR: node.podCIDR.text,
  };
}

/**
 * Wires pods to the node in whose namespace this process runs.
 *
 * A pod's namespace is `pod-<uid>`; the name of its link and both Ethernet addresses follow from its address, so a node
 * agent that was killed half way finds, adopts or clears what it had begun.
 */
export class NodeNetwork implements PodNetwork {
  readonly #profile: AttachmentProfile;
  readonly #node: NodeFacts;
  readonly #exec: Exec;
  readonly #namespaces: string;

  /**
   * `exec` is at the node; `root` is the directory under which this process sees the cage's /run/netns, if it is not inside
   * itself. Throws {@link Fault} FE006 for a config that cannot be read.
   */
  constructor(config: NodeNetworkConfig, exec: Exec, root = '') {
    this.#profile = { network: config.network, podCIDR: Prefix.parse(config.clusterCIDR) };
    this.#node = {
      name: config.name,
      address: Addr.parse(config.address),
      podCIDR: Prefix.parse(config.podCIDR),
    };
    this.#exec = exec;
    this.#namespaces = `${root}/run/netns`;
  }

  async add(request: PodNetworkRequest): Promise<{ readonly netns: string }> {
    const netns = netnsOfPod(request.uid);
    if ((await this.#addressIn(netns))?.equals(request.ip)) return { netns };
    const attachment = this.#attachment(request.ip, request, netns);
    await this.#clear(netns, attachment);
    await batch(this.#exec, 'ip', this.#nodeLines(attachment));
    const inside = this.#exec.inside(netns);
    await setSysctls(attachment.pod, inside);
    // The default route comes last: a pod that has it is complete.
    await batch(this.#exec, 'ip', hostLines(attachment.pod), netns);
    await this.#carries(attachment);
    return { netns };
  }

  /**
   * Waits until the pod's link is up on the node's side too: a port of a bridge drops until then, and the kernel may take up
   * to a second to tell it (net/core/link_watch.c).
   */
  async #carries({ node }: PodAttachment): Promise<void> {
    const { name } = node.interfaces.find(isVeth) ?? {};
    if (name === undefined) return;
    const args = ['-o', 'link', 'show', 'dev', name];
    const end = performance.now() + CARRIES_MS;
    while (!(await this.#exec.run({ file: 'ip', args })).stdout.includes(' state UP ')) {
      if (performance.now() > end) {
        const message = `${this.#node.name}: the link '${name}' is not up after ${CARRIES_MS} ms`;
        throw new Fault('FE002', message, 'see ip-link(8)');
      }
      await delay(20);
    }
  }

  async remove(uid: string): Promise<void> {
    const netns = netnsOfPod(uid);
    if (!(await this.#exists(netns))) return;
    const ip = await this.#addressIn(netns);
    const attachment =
      ip === undefined ? undefined : this.#attachment(ip, { namespace: '', name: uid }, netns);
    await this.#clear(netns, attachment);
    if (await this.#exists(netns)) {
      throw new Fault(
        'FE002',
        `${this.#node.name}: the namespace '${netns}' cannot be deleted`,
        'see ip-netns(8)',
      );
    }
  }

  async #exists(netns: string): Promise<boolean> {
    return await access(`${this.#namespaces}/${netns}`).then(
      () => true,
      () => false,
    );
  }

  #attachment(address: Addr, pod: { namespace: string; name: string }, netns: string): PodAttachment {
    const { namespace, name } = pod;
    return podAttachment(this.#profile, this.#node, {
      namespace,
      name,
      node: this.#node.name,
      address,
      netns,
    });
  }

  #nodeLines({ pod, node }: PodAttachment): string[] {
    const here = node.interfaces.find(isVeth);
    const there = pod.interfaces.find(isVeth);
    if (here === undefined || there === undefined) throw new Error('a pod is attached by a veth pair');
    return [
      `netns add ${pod.netns}`,
      linkLine({ netns: undefined, interface: here }, { netns: pod.netns, interface: there }),
      ...node.interfaces.flatMap((each) => interfaceLines(each)),
      ...node.neighbours.map(neighbourLine),
      ...node.routes.map(routeLine),
      ...node.routingRules.map(ruleLine),
    ];
  }

  /** The pod's address, if its namespace is there and complete. */
  async #addressIn(netns: string): Promise<Addr | undefined> {
    if (!(await this.#exists(netns))) return undefined;
    const shown = await this.#exec.run({
      file: 'ip',
      args: ['-n', netns, '-4', '-o', 'route', 'get', '192.0.2.1'],
      accept: [0, 1, 2, 255],
    });
    const source = /\ssrc (\S+)/.exec(shown.stdout)?.[1];
    return source === undefined ? undefined : Addr.parse(source);
  }

  /**
   * Takes away whatever is there of the pod, and of a forgotten one with its address. The link goes first: a namespace
   * lives on while a process holds it, and the address's route with it. What is not there is no failure.
   */
  async #clear(netns: string, attachment: PodAttachment | undefined): Promise<void> {
    const { interfaces = [], routingRules = [] } = attachment?.node ?? {};
    const lines = [
      ...interfaces.map(({ name }) => `link del dev ${name}`),
      ...routingRules.map((rule) => `rule del ${ruleWords(rule)}`),
      `netns del ${netns}`,
    ];
    await this.#exec.run({
      file: 'ip',
      args: ['-force', '-batch', '-'],
      stdin: `${lines.join('\n')}\n`,
      accept: [0, 1, 2, 255],
    });
  }
}

const CARRIES_MS = 10_000;

const isVeth = (each: { readonly kind: string }): each is Veth => each.kind === 'veth';

export function netnsOfPod(uid: string): string {
  if (!/^[\w-]{1,64}$/.test(uid))
    throw new Fault('FE006', `'${uid}' is no uid of a pod`, 'use its metadata.uid');
  return `pod-${uid}`;
}
