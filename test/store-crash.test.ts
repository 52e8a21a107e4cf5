import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Exec } from '../src/exec/exec.ts';
import { openSqliteStore } from '../src/store/sqlite-store.ts';

const WRITER = join(import.meta.dirname, 'store-writer.ts');

describe('a store whose process is killed in the middle of writing', () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'fairlead-crash-'));
  });
  afterAll(() => rm(folder, { recursive: true }));

  /** Starts a writer, kills it after so many acknowledgements, and returns all that it had acknowledged. */
  async function writeAndKill(file: string, round: number, enough: number): Promise<string[]> {
    const writer = await new Exec().start(process.execPath, [WRITER, file, String(round)], {
      stdout: 'pipe',
    });
    const acknowledged: string[] = [];
    if (writer.stdout === null) throw new Error('the writer has no output');
    for await (const key of createInterface({ input: writer.stdout })) {
      acknowledged.push(key);
      if (acknowledged.length === enough) writer.kill('SIGKILL');
    }
    expect((await writer.ended).signal).toBe('SIGKILL');
    return acknowledged;
  }

  it('has everything that was acknowledged, and history without a hole', async () => {
    const file = join(folder, 'objects.db');
    const acknowledged: string[] = [];
    for (const [round, enough] of [200, 500, 333].entries()) {
      acknowledged.push(...(await writeAndKill(file, round, enough)));
      const store = openSqliteStore(file);
      const { entries } = await store.list('p/');
      const values = new Map(entries.map(({ key, value }) => [key, value]));
      expect(acknowledged.filter((key) => values.get(key) !== `value of ${key}`)).toEqual([]);
      // Each commit made one key, so revisions are the keys' in a row.
      const revisions = entries.map(({ createRevision }) => createRevision).sort((a, b) => a - b);
      expect(revisions).toEqual(revisions.map((_, at) => at + 2));
      expect(store.revision).toBe(revisions.at(-1));
      await store.close();
    }
    expect(acknowledged.length).toBeGreaterThanOrEqual(1033);
  });
});
