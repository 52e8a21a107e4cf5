import { type Command, Option } from 'commander';
import { labNumber } from './lab-number.ts';
import { assignment, collected } from './manifest-files.ts';

/** The commands that answer from descriptions rather than from a cluster that runs. */
export function diagnosisCommands(fairlead: Command): void {
  proofOptions(nodesOption(worldOptions(fairlead.command('why'))))
    .description('say what becomes of a connection, by which way, and why; exit code 2 unless it is reached')
    .argument('<from>', 'pod/[ns/]name, node/name, external or vpc-host')
    .argument('<to>', 'svc/[ns/]name[:port], IP:port[/udp] or name:port')
    .addOption(
      new Option('--at <access>', 'of a Service; its clusterIP unless said').choices([
        'clusterIP',
        'nodePort',
        'loadBalancer',
        'externalIP',
      ]),
    )
    .option('--node <name>', 'whose node port')
    .addOption(
      new Option(
        '--address <side>',
        "the node's or balancer's; public only from outside, unless said",
      ).choices(['private', 'public']),
    )
    .addOption(
      new Option('-o, --output <format>').choices(['text', 'json', 'mermaid', 'svg']).default('text'),
    )
    .action(async (from, to, options) => (await import('./commands/why.ts')).why(from, to, options));
  proofOptions(nodesOption(worldOptions(fairlead.command('matrix'))))
    .description('try every class of clients on every address; exit code 2 unless all are reached')
    .argument('[service]', 'svc/[ns/]name; every Service unless said')
    .addOption(new Option('-o, --output <format>').choices(['table', 'json', 'html']).default('table'))
    .action(async (service, options) => (await import('./commands/matrix.ts')).matrix(service, options));
  worldOptions(fairlead.command('diff'))
    .description('say who is answered otherwise after a change of the profile; exit code 2 if anybody is')
    .requiredOption(
      '--to <key=value>',
      'a field of the profile as it is to become, such as proxyMode=nftables; again for more',
      assignment,
    )
    .addOption(new Option('-o, --output <format>').choices(['text', 'json']).default('text'))
    .action(async (options) => (await import('./commands/diff.ts')).diff(options));
  fairlead
    .command('collect')
    .description(
      'print a script for sh that writes what decides about packets on a node into a folder, for --nodes',
    )
    .option('--script', 'the default: nothing is run here')
    .action(async () => (await import('./commands/collect.ts')).collect());
  fairlead
    .command('explain')
    .description('print the page of a cause (FLnnn) or a fault (FEnnn); without a code, the list of them')
    .argument('[code]')
    .action(async (code) => (await import('./commands/explain.ts')).explain(code));
  fairlead
    .command('lint')
    .description('find what is risky in manifests, without a cluster; exit code 2 if anything is')
    .requiredOption(
      '-f, --filename <path>',
      'file or folder of YAML, - for standard input; again for more',
      collected,
    )
    .option('--profile <name>', 'a ClusterProfile of the files, or words like cce-vpc-ipvs')
    .option('--set <key=value>', 'a field of the profile, such as proxyMode=ipvs; again for more', assignment)
    .addOption(
      new Option('--least <severity>', 'leave out what is less')
        .choices(['note', 'warning', 'error'])
        .default('note'),
    )
    .addOption(new Option('-o, --output <format>').choices(['text', 'json', 'sarif']).default('text'))
    .action(async (options) => (await import('./commands/lint.ts')).lintCommand(options));
}

/** Whether the kernel is asked as well. */
function proofOptions(command: Command): Command {
  return command
    .option('--prove', 'build it of network namespaces, connect for real, and hold the answers to that')
    .option('--keep', 'with --prove: leave what was built until ctrl-C, and say how to enter it')
    .addOption(
      new Option('--in <lab>', 'with --prove: ask a lab that --keep has left, as it now is, and build none')
        .argParser(labNumber)
        .conflicts('keep'),
    )
    .addOption(
      new Option('--kernel <which>', 'with --prove: the running one, or that of a small virtual machine')
        .choices(['auto', 'host', 'vm'])
        .default('auto'),
    );
}

/** Nodes that printed themselves; a change of the profile would not change what they printed. */
function nodesOption(command: Command): Command {
  return command.option(
    '--nodes <dir>',
    'a folder with one of each node, as `fairlead collect` fills it: what they printed is walked, and not what the profile makes of them',
  );
}

/** Where a World comes from. */
function worldOptions(command: Command): Command {
  return command
    .option(
      '-f, --filename <path>',
      'file or folder of YAML, - for standard input; again for more; the cluster of the kubeconfig if there is none',
      collected,
    )
    .option('--profile <name>', 'a ClusterProfile of the files, or words like cce-vpc-ipvs')
    .option('--set <key=value>', 'a field of the profile, such as proxyMode=ipvs; again for more', assignment)
    .option('-n, --namespace <name>', 'of names that do not say theirs')
    .option('--kubeconfig <file>', 'whose cluster to read')
    .option('--context <name>', 'of the kubeconfig');
}
