import { defineConfig } from "vitest/config";

/** Suites that need Debian's packages; each skips loudly where its package is missing. */
export default defineConfig({
  test: {
    include: ["test/{apt,world}/**/*.test.ts"],
    globalSetup: ["test/built.ts"],
    setupFiles: ["test/in-time.ts"],
    testTimeout: 900_000,
    hookTimeout: 900_000,
    teardownTimeout: 60_000,
    maxWorkers: 2,
  },
});
