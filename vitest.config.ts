import { defineConfig } from 'vitest/config';

const report = process.env.FAIRLEAD_TEST_REPORT;

/**
 * Two projects: `rooms` are the tests beside the code, `system` the whole-system tests in test/, which build namespaces
 * and start clusters, so they run one file at a time and never beside each other.
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
          fileParallelism: false,
          maxConcurrency: 2,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
});
