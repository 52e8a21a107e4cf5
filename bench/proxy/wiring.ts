import type { Exec } from '../../src/exec/exec.ts';
import type { Cage } from '../../src/lab/cage.ts';
import { POD_RANGE } from './services.ts';

/** A client, a node that routes, and one namespace that answers for every pod: real packets go from end to end. */
export interface Wired {
  readonly client: Exec;
  readonly node: Exec;
  readonly pods: Exec;
  /** Of the node's interface towards the client. */
  readonly mac: string;
}

const MAC = '02:00:00:00:00:01';
/** Packets with made-up sources must come through, and nothing is to be said about them. */
const SYSCTLS = [
  'net.ipv4.ip_forward=1',
  'net.ipv4.conf.all.rp_filter=0',
  'net.ipv4.conf.default.rp_filter=0',
  'net.ipv4.conf.all.send_redirects=0',
];

export async function wire(cage: Cage, name: string): Promise<Wired> {
  const ip = (netns: string | undefined, ...lines: readonly string[]) =>
    cage.exec(netns).run({ file: 'ip', args: ['-batch', '-'], stdin: `${lines.join('\n')}\n` });
  const [client, node, pods] = [`client-${name}`, `node-${name}`, `pods-${name}`] as const;
  await ip(undefined, ...[client, node, pods].map((one) => `netns add ${one}`));
  await cage.exec(node).run({ file: 'sysctl', args: ['-qw', ...SYSCTLS] });
  await ip(
    node,
    'link set lo up',
    `link add clients type veth peer name eth0 netns ${client}`,
    `link add pods type veth peer name eth0 netns ${pods}`,
    `link set clients address ${MAC} up`,
    'link set pods up',
    'addr add 192.168.1.1/24 dev clients',
    'addr add 192.168.2.1/24 dev pods',
    `route add ${POD_RANGE.text} via 192.168.2.2`,
  );
  await ip(
    client,
    'link set lo up',
    'addr add 192.168.1.2/24 dev eth0',
    'link set eth0 up',
    'route add default via 192.168.1.1',
  );
  await ip(
    pods,
    'link set lo up',
    'addr add 192.168.2.2/24 dev eth0',
    'link set eth0 up',
    'route add default via 192.168.2.1',
    // Every pod's address is this namespace's own.
    `route add local ${POD_RANGE.text} dev lo`,
  );
  return { client: cage.exec(client), node: cage.exec(node), pods: cage.exec(pods), mac: MAC };
}
