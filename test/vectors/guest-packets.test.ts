/**
 * The vectors as real packets in a small guest, for what the running kernel may lack: IPVS, and SCTP in every mode, which
 * minimal kernels are built without (CONFIG_IP_SCTP). Where the running kernel has both, it is asked itself.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openCage } from '../../src/lab/cage.ts';
import { chooseKernel, featuresOf } from '../../src/lab/vm/kernel.ts';
import { openVm } from '../../src/lab/vm/vm.ts';
import { differencesOf } from './dialling.ts';
import { casesOf, groupsOf, MODES } from './rules.ts';
import { sampleOf } from './sample.ts';
import { Stand } from './stand.ts';
import { readVectors } from './vectors.ts';

/** A guest whose processor is translated has its limits. */
const vectors = sampleOf(readVectors());
const patience = { first: 2500, again: 8000, crowd: 24 };

let stand: Stand | undefined;
let end = async (): Promise<void> => undefined;
beforeAll(async () => {
  const { kernel } = await chooseKernel([...featuresOf('ipvs'), 'sctp']);
  const ground = kernel === 'host' ? { openCage, close: end } : await openVm();
  end = () => ground.close();
  stand = await Stand.open(casesOf(vectors), await ground.openCage());
}, 180_000);
afterAll(async () => {
  await stand?.close();
  await end();
});

describe.each(MODES)('%s', (mode) => {
  const wanted = vectors.filter(({ protocol }) => mode === 'ipvs' || protocol === 'SCTP');
  it.each(groupsOf(wanted, mode).map((group) => [group.name, group] as const))(
    '%s',
    async (_, group) => {
      if (stand === undefined) throw new Error('beforeAll has built it');
      expect((await differencesOf(stand, group, mode, patience)).join('\n')).toBe('');
    },
    300_000,
  );
});
