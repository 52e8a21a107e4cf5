/** Writes without end and prints each key once it is acknowledged; store-crash.test.ts kills it in the middle. */
import { openSqliteStore } from '../src/store/sqlite-store.ts';

const [file = '', round = '0'] = process.argv.slice(2);
const store = openSqliteStore(file);

async function write(lane: number): Promise<void> {
  for (let n = 0; ; n += 1) {
    const key = `p/${round}-${lane}-${n}`;
    const outcome = await store.commit([{ key, value: `value of ${key}`, expect: 0 }]);
    if (outcome.ok) process.stdout.write(`${key}\n`);
  }
}

await Promise.all([0, 1, 2, 3].map(write));
