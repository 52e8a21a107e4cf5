import type { Command } from 'commander';

/** The commands that answer from descriptions rather than from a cluster that runs. */
export function diagnosisCommands(fairlead: Command): void {
  fairlead
    .command('explain')
    .description('print the page of a cause (FLnnn) or a fault (FEnnn); without a code, the list of them')
    .argument('[code]')
    .action(async (code) => (await import('./commands/explain.ts')).explain(code));
}
