/**
 * What a person wants to know of a connection: whether it comes to be, by which way, and why not.
 *
 * Promises: every answer is a walk of the World and nothing else; names that match nothing are answered with those that
 * do; what is not modelled makes an answer `unknown`, and is named.
 * Refuses: to print or to read anything; callers do. Texts and JSON come back as values.
 *
 * Reads on: question.ts resolves names, recognise/ and causes/ say why, fixes/ tries what would help, matrix/ asks for all
 * clients and addresses at once, diff/ compares two Worlds, lint/ reads manifests alone, picture/ draws.
 *
 * @example
 * const question = readQuestion(cluster, { from: 'pod/far', to: 'svc/nginx', namespace: 'default' });
 * ladder(cluster, answer(cluster, question, causeOf), NO_COLOURS);
 */
export * from './answer.ts';
export { type Cause, causeOf } from './cause-of.ts';
export { CAUSE_CODES, type CauseCode, causeEntry, isCauseCode } from './causes/registry.ts';
export { type Diff, diffJson, diffOf } from './diff/diff.ts';
export { diffText } from './diff/text.ts';
export { type Fix, fixesFor } from './fixes/fixes.ts';
export { fixesText } from './fixes/text.ts';
export { ladder } from './ladder.ts';
export { type Finding, lint } from './lint/lint.ts';
export { lintJson, lintSarif, lintText } from './lint/report.ts';
export { COLOURS, NO_COLOURS, type Palette, paintVerdict } from './palette.ts';
export { mermaid } from './picture/mermaid.ts';
export * from './question.ts';
