import { defineConfig } from "vitest/config";

/** Suites on a real Xen hypervisor, one after the other: all of it is emulated, and slow. */
export default defineConfig({
  test: {
    include: ["test/xen/**/*.test.ts"],
    globalSetup: ["test/built.ts", "test/shared.ts"],
    setupFiles: ["test/in-time.ts"],
    testTimeout: 2_400_000,
    hookTimeout: 2_400_000,
    teardownTimeout: 60_000,
    maxWorkers: 1,
    pool: "forks",
  },
});
