import { defineConfig } from 'vitest/config';

const report = process.env.FAIRLEAD_TEST_REPORT;

/**
 * Two projects, one after the other: `rooms` are the tests beside the code, `system` the whole-system tests in test/. Those
 * build namespaces and start clusters, each in a cage of its own, and mostly wait, so two files run side by side.
 */
export default defineConfig({
  test: {
    reporters: report === undefined ? ['default'] : ['default', ['json', { outputFile: report }]],
    projects: [
      { test: { name: 'rooms', include: ['src/**/*.test.ts'], testTimeout: 30_000 } },
      {
        test: {
          name: 'system',
          include: ['test/**/*.test.ts'],
          testTimeout: 120_000,
          hookTimeout: 120_000,
          maxWorkers: 2,
          maxConcurrency: 2,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
});
