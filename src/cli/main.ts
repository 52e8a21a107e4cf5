#!/usr/bin/env node
/**
 * The command `fairlead`, also as `kubectl fairlead`.
 *
 * Promises: data on standard output, progress and messages on standard error; exit code 0 (reached, nothing to report),
 * 2 (not reached, mixed or unknown, or findings), 1 (error), 130 (interrupted); a Fault is one sentence with its cure.
 * A command's code is loaded when it is called, so a daemon starts without the browser UI and `why` without the API server.
 *
 * @example npm run -s fairlead -- up --nodes 3
 */
import { enableCompileCache } from 'node:module';
import { join } from 'node:path';

// Type stripping and parsing are most of a daemon's start; the cache outlives the process, and a cluster starts ten of them.
enableCompileCache(
  process.env.NODE_COMPILE_CACHE ??
    join(process.env.XDG_CACHE_HOME ?? `${process.env.HOME}/.cache`, 'fairlead'),
);

// Whoever reads may stop reading (`… | head`): that ends this process, and is no error of it.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
  process.exit();
});

const { program } = await import('./program.ts');
const { exitCodeOf } = await import('./exit.ts');
try {
  await program().parseAsync();
} catch (error) {
  // Now, and not when the last handle closes: a daemon that failed half way must make room for the next one.
  process.exit(exitCodeOf(error, (line) => process.stderr.write(line)));
}
