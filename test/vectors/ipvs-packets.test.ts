/** The vectors as real packets through IPVS: in a small guest where the running kernel has none. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { openCage } from '../../src/lab/cage.ts';
import { chooseKernel, featuresOf } from '../../src/lab/vm/kernel.ts';
import { openVm } from '../../src/lab/vm/vm.ts';
import { worldOf } from './bed.ts';
import { differencesOf } from './dialling.ts';
import { healthPortsOf } from './objects.ts';
import { groupsOf } from './rules.ts';
import { Stand } from './stand.ts';
import { readVectors } from './vectors.ts';

/** Of each flow one combination of protocol and family, in turn: a guest whose processor is translated has its limits. */
const vectors = readVectors().filter((_, at) => at % 4 === Math.floor(at / 4) % 4);
const patience = { first: 2500, again: 8000, crowd: 24 };

let stand: Stand | undefined;
let end = async (): Promise<void> => undefined;
beforeAll(async () => {
  const { kernel } = await chooseKernel(featuresOf('ipvs'));
  const ground = kernel === 'host' ? { openCage, close: end } : await openVm();
  end = () => ground.close();
  stand = await Stand.open(
    worldOf({ packetFilter: {}, healthPorts: healthPortsOf(vectors) }),
    await ground.openCage(),
  );
}, 180_000);
afterAll(async () => {
  await stand?.close();
  await end();
});

it.each(groupsOf(vectors).map((group) => [group.configuration, group] as const))(
  '%s',
  async (_, group) => {
    if (stand === undefined) throw new Error('beforeAll has built it');
    expect((await differencesOf(stand, group, 'ipvs', patience)).join('\n')).toBe('');
  },
  300_000,
);
