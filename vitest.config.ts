import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    globalSetup: ["test/shared.ts"],
    include: ["packages/**/*.test.ts", "test/**/*.test.ts"],
    exclude: ["**/node_modules/**", "**/.tsbuild/**", "test/{xen,apt}/**"],
    // long enough for a machine that is busy with something else: no test measures speed
    testTimeout: 300_000,
    hookTimeout: 300_000,
    teardownTimeout: 60_000,
    maxWorkers: 2,
    pool: "forks",
    // as in a guest's process: the engine's own stack limit must be met before V8's
    execArgv: ["--stack-size=6144"],
  },
});
