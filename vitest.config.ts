import { defineConfig } from "vitest/config";
import { BaseSequencer, type TestSpecification } from "vitest/node";

/** What takes longest, first, so that no worker is left alone with it at the end. */
const LONGEST = [
  "sim.test.ts",
  "sim-more.thorough.test.ts",
  "long-job.test.ts",
  "kill.test.ts",
  "wrong-result.test.ts",
  "replicas.test.ts",
  "sdk/sdk.test.ts",
  "determinism.test.ts",
  "hostile.test.ts",
  "process/limits.test.ts",
  "forgeries.test.ts",
];
const place = ({ moduleId }: TestSpecification): number => {
  const at = LONGEST.findIndex((name) => moduleId.endsWith(`/${name}`));
  return at < 0 ? LONGEST.length : at;
};

class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    return (await super.sort(files)).sort((a, b) => place(a) - place(b));
  }
}

/**
 * Documents, rules and what is built of them: no process, database or file is shared, so that one worker can take one file after another. But
 * not one that puts something in a module's place: the worker may have loaded what imports that.
 */
const UNITS = [
  "packages/{market,protocol,verify,sdk,dashboard,testkit,cli}/**/!(*.mocked).test.ts",
  "packages/xenocorp/src/{desk,http,log}/**/!(*.mocked).test.ts",
  "test/desk/**/!(*.mocked).test.ts",
];
/** Files whose every test is one that a person does not wait for (test/thorough.ts). */
const THOROUGH = process.env["XENO_THOROUGH"] === "1" ? [] : ["**/*.thorough.test.ts"];
// what needs the npm registry or Debian's packages has configurations of its own
const ELSEWHERE = ["**/node_modules/**", "**/.tsbuild/**", "test/{vm,xen,apt,world,pack}/**", ...THOROUGH];

export default defineConfig({
  test: {
    globalSetup: ["test/built.ts", "test/shared.ts"],
    sequence: { sequencer: LongestFirst },
    // only what hangs meets these: no test depends on how fast a machine is
    testTimeout: 900_000,
    hookTimeout: 900_000,
    teardownTimeout: 60_000,
    maxWorkers: 2,
    pool: "forks",
    // as in a guest's process: the engine's own stack limit must be met before V8's
    execArgv: ["--stack-size=6144"],
    projects: [
      {
        extends: true,
        test: {
          name: "markets",
          include: ["packages/**/*.test.ts", "test/**/*.test.ts"],
          exclude: [...ELSEWHERE, ...UNITS],
        },
      },
      { extends: true, test: { name: "units", include: UNITS, exclude: ELSEWHERE, isolate: false } },
    ],
  },
});
