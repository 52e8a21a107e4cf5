import { type Command, Option } from 'commander';
import { assignment, collected } from './manifest-files.ts';

/** The commands that answer from descriptions rather than from a cluster that runs. */
export function diagnosisCommands(fairlead: Command): void {
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
