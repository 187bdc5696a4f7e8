import { defineConfig } from "vitest/config";

/** Suites with real machines, one after the other: they are emulated where the host has no KVM, and slow. */
export default defineConfig({
  test: {
    include: ["test/vm/**/*.test.ts"],
    globalSetup: ["test/built.ts", "test/shared.ts"],
    setupFiles: ["test/in-time.ts"],
    testTimeout: 900_000,
    hookTimeout: 1_800_000,
    teardownTimeout: 60_000,
    maxWorkers: 1,
    pool: "forks",
  },
});
