import { collectScript } from '../../world/from-nodes/from-nodes.ts';

/** Prints what a person runs on a node: nothing is asked from here. */
export function collect(): void {
  process.stdout.write(collectScript());
}
