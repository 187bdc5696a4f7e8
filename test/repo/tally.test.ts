/** What `.ci/run` says at its end of suites that ended, and of one that was ended because it hung. */
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, readdir, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import type { SuiteReport } from "../../scripts/reporter.ts";
import { until } from "../until.ts";

const VITEST = path.resolve("node_modules/vitest/vitest.mjs");
const REPORTER = path.resolve("scripts/reporter.ts");

let folder: string;
const at = (name: string): string => path.join(folder, name);
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "xeno-tally-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const suite = (name: string, text: string): Promise<void> =>
  writeFile(at(`${name}.test.js`), `import { expect, it } from "vitest";\n${text}\n`);

/** `reporters`: beside the one that is tried; `until`: when no test begins any more, in seconds since 1970. */
function vitest(reporters: string[] = [], until = Infinity) {
  const named = [...reporters, REPORTER].flatMap((file) => ["--reporter", file]);
  const words = [VITEST, "run", "--root", folder, ...named, "--no-file-parallelism", "--testTimeout", "600000"];
  const env = { ...process.env, TALLY_FILE: at("suite.json"), TALLY_UNTIL: String(until) };
  return spawn(process.execPath, words, { cwd: folder, env, stdio: "ignore" });
}

const report = async (): Promise<SuiteReport> => JSON.parse(await readFile(at("suite.json"), "utf8")) as SuiteReport;

it("counts what passed, failed and was skipped, with what no test caught", async () => {
  await suite("mixed", 'it("holds", () => {}); it.skip("rests", () => {}); it("breaks", () => expect(1).toBe(2));');
  await suite("broken", 'throw new Error("nothing here runs");');
  await once(vitest(), "exit");
  const { failures, files, ...counts } = await report();
  expect(counts).toEqual({ passed: 1, failed: 2, skipped: 1, untimely: [] });
  expect(failures.join("\n")).toMatch(/mixed\.test\.js: breaks: [^]*1[^]*2/);
  expect(failures.join("\n")).toContain("nothing here runs");
  expect(files.map(([file]) => file).sort()).toEqual(["broken.test.js", "mixed.test.js"]);
});

it("says of a suite that is ended which test had not ended, and what had passed", async () => {
  await suite("mixed", 'it("holds", () => {});');
  await suite("stuck", 'it("waits", () => new Promise(() => {}));');
  const tells =
    'import { writeFileSync } from "node:fs";\nexport default class { onTestCaseReady(test) { writeFileSync(test.name, ""); } }\n';
  await writeFile(at("tells.js"), tells);
  const run = vitest([at("tells.js")]);
  const gone = once(run, "exit");
  await until(() =>
    readFile(at("waits")).then(
      () => true,
      () => false,
    ),
  );
  run.kill("SIGTERM");
  await gone;
  const { failures, ...rest } = await report();
  expect(rest).toMatchObject({ failed: 1 });
  expect(failures).toEqual([expect.stringMatching(/^stuck\.test\.js: waits: had not ended after \d+ s, as the run was$/)]);
});

it("begins no test, and no file, once the time for them is over; what is under way ends, and what had no turn is named and counted", async () => {
  await symlink(path.resolve("node_modules"), at("node_modules"));
  await writeFile(at("vitest.config.js"), `export default { test: { setupFiles: [${JSON.stringify(path.resolve("test/in-time.ts"))}] } };`);
  const hook = (name: string): string =>
    `import { beforeAll } from "vitest"; import { writeFileSync } from "node:fs"; beforeAll(() => writeFileSync(${JSON.stringify(at(name))}, ""));`;
  // in the midst of its first test the time of its process is over
  await suite("a", `${hook("a-begun")} it("is under way", () => { process.env.TALLY_UNTIL = "1"; }); it("comes after it", () => {});`);
  const [some] = (await once(vitest(), "exit")) as [number];
  expect({ ...(await report()), some }).toMatchObject({ passed: 1, failed: 0, skipped: 1, untimely: ["a.test.js"], some: 0 });
  await rm(at("a-begun"));

  await suite("b", `${hook("b-begun")} it("has no turn", () => {}); it("nor has this", () => {});`);
  const untimely = ["a.test.js", "b.test.js"];
  const [none] = (await once(vitest([], 1), "exit")) as [number];
  expect({ ...(await report()), none }).toMatchObject({ passed: 0, failed: 0, skipped: 4, failures: [], none: 0 });
  expect((await report()).untimely.sort()).toEqual(untimely);
  expect((await readdir(folder)).filter((name) => name.endsWith("-begun"))).toEqual([]);
});

it("adds up steps, names the longest files and what failed, and closes with the plain line", async () => {
  const files = [
    ["a.test.ts", 5],
    ["b.test.ts", 70],
  ];
  const parts: [string, string][] = [
    ["tests.json", JSON.stringify({ passed: 3, failed: 1, skipped: 2, failures: ["a.test.ts: x: why"], files })],
    ["tests.rc", "1\n"],
    ["demo.json", '{"ok":true}'],
    ["demo.rc", "0\n"],
    ["late.json", JSON.stringify({ passed: 0, failed: 0, skipped: 1, failures: [], files: [], untimely: ["c.test.ts"] })],
    ["late.rc", "0\n"],
    ["silent.rc", "124\n"],
    ...["tests", "demo", "late", "silent"].map((step): [string, string] => [`${step}.seconds`, "9\n"]),
  ];
  for (const [name, text] of parts) await writeFile(at(name), text);
  const { status, stdout } = spawnSync(process.execPath, [path.resolve("scripts/tally.ts"), folder], { encoding: "utf8" });
  expect(status).toBe(1);
  expect(stdout.split("\n")).toEqual(
    expect.arrayContaining([
      "longest: b.test.ts 70 s, a.test.ts 5 s",
      "NO TIME LEFT, skipped whole or in part: c.test.ts",
      "FAILED tests: a.test.ts: x: why",
      "FAILED silent: ended with exit code 124",
      "4 passed, 2 failed, 3 skipped",
    ]),
  );
});
