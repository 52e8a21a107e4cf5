import { COLOURS, NO_COLOURS, type Palette } from '../diagnose/palette.ts';

/** Colours for a terminal, unless NO_COLOR (no-color.org) is set to anything. */
export const paletteOf = (stream: { readonly isTTY?: boolean }): Palette =>
  stream.isTTY === true && !process.env.NO_COLOR ? COLOURS : NO_COLOURS;
