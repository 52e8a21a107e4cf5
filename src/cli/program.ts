import { readFileSync } from 'node:fs';
import { Command, InvalidArgumentError, Option } from 'commander';
import { defaultDataFolder } from '../cluster/data-folder.ts';
import { milliseconds } from './commands/duration.ts';
import { diagnosisCommands } from './diagnosis-commands.ts';
import { labNumber } from './lab-number.ts';

/** The command line: what can be said, in one place; each action loads its own code. */
export function program(): Command {
  const fairlead = new Command('fairlead')
    .description('Kubernetes Services, end to end: run, trace, prove and fix them')
    .version(versionOf(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')))
    .showHelpAfterError('(fairlead COMMAND --help says more)')
    .exitOverride()
    .enablePositionalOptions();
  clusterCommands(fairlead);
  diagnosisCommands(fairlead);
  daemonCommands(fairlead);
  return fairlead;
}

const dataOption = () =>
  new Option('--data <dir>', 'folder of objects, certificates and logs').default(defaultDataFolder());

function clusterOptions(command: Command): Command {
  return command
    .addOption(dataOption())
    .option('--nodes <n>', 'number of nodes', whole(1, 50), 3)
    .addOption(new Option('--profile <name>', 'network model').choices(['tunnel', 'vpc']).default('tunnel'))
    .addOption(
      new Option('--proxy-mode <mode>', 'Service proxy')
        .choices(['nftables', 'iptables', 'ipvs'])
        .default('nftables'),
    )
    .option('--port <port>', 'API server port on loopback; 0 takes a free one', whole(0, 65535), 6443);
}

function clusterCommands(fairlead: Command): void {
  clusterOptions(fairlead.command('up'))
    .description('start a cluster and keep it up')
    .option('--detach', 'leave it running in the background')
    .action(async (options) => (await import('./commands/up.ts')).up(options));
  fairlead
    .command('down')
    .description('end the cluster; its objects stay for the next start')
    .addOption(dataOption())
    .action(async (options) => (await import('./commands/down.ts')).down(options));
  fairlead
    .command('status')
    .description('say what runs, and what is not ready')
    .addOption(dataOption())
    .addOption(new Option('-o, --output <format>').choices(['text', 'json']).default('text'))
    .action(async (options) => (await import('./commands/status.ts')).status(options));
  fairlead
    .command('kubeconfig')
    .description('print the kubeconfig of the cluster')
    .addOption(dataOption())
    .action(async (options) => (await import('./commands/kubeconfig.ts')).kubeconfig(options));
  fairlead
    .command('enter')
    .description(
      'run a command in the network namespace of a host: a node, external, router, or pod/[ns/]name',
    )
    .addOption(dataOption())
    .addOption(
      new Option('--lab <number>', 'of a lab that --prove --keep has left, instead of the cluster').argParser(
        labNumber,
      ),
    )
    .argument('<host>')
    .argument('[command...]', 'a shell unless said')
    .passThroughOptions()
    .action(async (host, command, options) =>
      (await import('./commands/enter.ts')).enter(host, command, options),
    );
  fairlead
    .command('tour')
    .description('start a cluster, play the tour of a Service on it, and stay up')
    .option(
      '--once',
      'play it in both network models and both proxy modes, then tear down; exit 0 if every step held',
    )
    .addOption(dataOption())
    .addOption(
      new Option('--profile <name>', 'network model; both with --once unless said').choices([
        'tunnel',
        'vpc',
      ]),
    )
    .addOption(
      new Option('--proxy-mode <mode>', 'nftables and iptables with --once unless said').choices([
        'nftables',
        'iptables',
        'ipvs',
      ]),
    )
    .option('--port <port>', 'API server port on loopback; 0 takes a free one', whole(0, 65535), 6443)
    .option('--kubectl <path>', 'the kubectl to play it with', 'kubectl')
    .action(async (options) => (await import('./commands/tour.ts')).tour(options));
}

function daemonCommands(fairlead: Command): void {
  const daemon = (
    name: string,
    description: string,
    settings = 'settings as JSON; `fairlead up` writes them',
  ) =>
    fairlead
      .command(name)
      .description(description)
      .option(
        '--kubeconfig <file>',
        'the API server and the credentials; in a pod, its ServiceAccount unless said',
      )
      .option('--config <file>', settings);
  daemon('control-plane', 'API server, controllers and scheduler in one process').action(async (options) =>
    (await import('./commands/control-plane.ts')).controlPlane(options),
  );
  fairlead
    .command('apiserver')
    .description('the Kubernetes API alone')
    .addOption(dataOption())
    .option('--listen <address:port>', 'where to serve', '127.0.0.1:6443')
    .option('--advertise-address <address>', "where pods reach it; the machine's first address unless said")
    .option('--service-cidr <prefix>', 'where cluster IPs come from', '10.247.0.0/16')
    .action(async (options) => (await import('./commands/apiserver.ts')).apiserver(options));
  daemon('controllers', 'controllers and scheduler alone')
    .option('--pod-cidr <prefix>', 'the range each node gets a part of', '172.16.0.0/16')
    .action(async (options) => (await import('./commands/controllers.ts')).controllers(options));
  daemon('kubelet', 'run the pods of one node').action(async (options) =>
    (await import('./commands/kubelet.ts')).kubelet(options),
  );
  daemon(
    'proxy',
    'program the Service rules of one node',
    "kube-proxy's configuration file, or the settings `fairlead up` writes",
  )
    .option('--node <name>', 'the node it runs on', process.env.NODE_NAME)
    .addOption(new Option('--proxy-mode <mode>').choices(['nftables', 'iptables', 'ipvs']))
    .option(
      '--sync-period <duration>',
      "hold all rules against the kernel's this often, such as 30s",
      duration,
    )
    .option('--min-sync-period <duration>', 'from one transaction to the next at least, such as 1s', duration)
    .option('--cleanup', 'remove every rule of ours and end')
    .action(async (options) => (await import('./commands/proxy.ts')).proxy(options));
  daemon('dns', 'answer the names of Services and pods')
    .option('--zone <zone>', 'cluster domain', 'cluster.local')
    .option('--listen <address:port>', 'where to answer', '0.0.0.0:53')
    .option('--forward <address:port>', 'who answers other names; refused unless said')
    .action(async (options) => (await import('./commands/dns.ts')).dns(options));
}

function duration(text: string): number {
  try {
    return milliseconds(text);
  } catch (error) {
    throw new InvalidArgumentError(error instanceof Error ? error.message : String(error));
  }
}

const versionOf = (packageJson: string): string => (JSON.parse(packageJson) as { version: string }).version;

function whole(least: number, most: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!/^\d+$/.test(text) || value < least || value > most) {
      throw new InvalidArgumentError(`a whole number from ${least} to ${most} is wanted.`);
    }
    return value;
  };
}
