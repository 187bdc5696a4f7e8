import { defineConfig } from "vitest/config";

/** What runs in dom0 of a Xen host itself, as root (docs/xen.md). */
export default defineConfig({
  test: {
    include: ["packages/xenoserver/src/drivers/xen/real-host.test.ts"],
    testTimeout: 900_000,
    hookTimeout: 900_000,
    teardownTimeout: 60_000,
    maxWorkers: 1,
    pool: "forks",
  },
});
