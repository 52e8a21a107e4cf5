import type { CageOptions } from './cage.ts';

/** Debian's `nobody`, who may do nothing that everybody may not. */
const NOBODY = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', '--'];

/** The ways to open a cage that tests go through: all that whoever runs them has. */
export const CAGES: readonly { readonly name: string; readonly options: CageOptions }[] =
  process.getuid?.() === 0
    ? [
        { name: 'root', options: { privilege: 'root' } },
        { name: 'nobody', options: { privilege: 'user', from: { name: 'nobody', prefix: NOBODY } } },
      ]
    : [{ name: 'the caller', options: { privilege: 'user' } }];
