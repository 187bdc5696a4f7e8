import { defineConfig } from "vitest/config";

/** What would be published, installed from the npm registry in empty folders. */
export default defineConfig({
  test: {
    include: ["test/pack/**/*.test.ts"],
    globalSetup: ["test/built.ts", "test/shared.ts", "test/pack/pack-once.ts"],
    setupFiles: ["test/in-time.ts"],
    testTimeout: 900_000,
    hookTimeout: 900_000,
    teardownTimeout: 60_000,
    maxWorkers: 1,
  },
});
