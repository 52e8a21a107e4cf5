import { checkWorld } from '../../world/check.ts';
import type { World } from '../../world/world.ts';
import { type Cage, openCage } from '../cage.ts';
import { realise } from '../realise.ts';
import { chooseKernel, featuresOf, type Kernel } from '../vm/kernel.ts';
import { openVm } from '../vm/vm.ts';
import { startListeners } from './listeners.ts';

export interface LabOptions {
  /** `auto`, unless said: the running kernel if it offers what the World needs, else a guest's. */
  readonly kernel?: Kernel | 'auto';
  /** Told what is being done, in lines without their end. */
  readonly progress?: (line: string) => void;
}

/** A World that stands, with everything in it that listens. */
export interface Lab {
  readonly cage: Cage;
  readonly kernel: Kernel;
  /** Ends all of it. */
  close(): Promise<void>;
}

/**
 * Chooses a kernel and builds the World on it. Throws {@link Fault} FE011 for a World that contradicts itself, before
 * anything is built; FE014 if there is no kernel for it; FE002 or FE005 for a step that failed, with all of it torn down.
 */
export async function openLab(world: World, options: LabOptions = {}): Promise<Lab> {
  const { kernel: wish = 'auto', progress = () => undefined } = options;
  checkWorld(world);
  const { kernel, reason } = await chooseKernel(featuresOf(world.profile.proxyMode), wish);
  progress(`kernel: ${kernel === 'host' ? 'the running one' : "a guest's"}, for ${reason}`);
  const ground = kernel === 'host' ? { openCage, close: async () => undefined } : await openVm({ progress });
  let cage: Cage | undefined;
  const close = async () => {
    await cage?.close();
    await ground.close();
  };
  try {
    cage = await ground.openCage();
    await realise(world, cage);
    await startListeners(world, cage);
    return { cage, kernel, close };
  } catch (error) {
    await close();
    throw error;
  }
}
