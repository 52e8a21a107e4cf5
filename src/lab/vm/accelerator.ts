import { access, constants, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** How qemu runs the guest: `kvm` on the processor, `tcg` by translating its instructions, some ten times slower. */
export type Accelerator = 'kvm' | 'tcg';

const REFUSED = 'kvm-refused-';

/**
 * /dev/kvm may be there and yet hang every guest (nested virtualisation that is half switched on), so kvm has to prove
 * itself by a quick boot; that it failed is remembered in the cache until the machine starts anew.
 */
export async function acceleratorsToTry(cache: string): Promise<[Accelerator, Accelerator?]> {
  const usable = await isThere('/dev/kvm', constants.R_OK | constants.W_OK);
  if (!usable || (await isThere(await refusal(cache), constants.F_OK))) return ['tcg'];
  return ['kvm', 'tcg'];
}

export async function refuseKvm(cache: string, reason: string): Promise<void> {
  // Of earlier starts of the machine.
  const stale = (await readdir(cache)).filter((name) => name.startsWith(REFUSED));
  for (const name of stale) await rm(join(cache, name), { force: true });
  await writeFile(await refusal(cache), `${reason}\n`);
}

async function refusal(cache: string): Promise<string> {
  const boot = await readFile('/proc/sys/kernel/random/boot_id', 'utf8');
  return join(cache, `${REFUSED}${boot.trim()}`);
}

async function isThere(path: string, mode: number): Promise<boolean> {
  return await access(path, mode).then(
    () => true,
    () => false,
  );
}
