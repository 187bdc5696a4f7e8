/** Programs of this repository say how they are used, and begin nothing on words that they do not know. */
import { spawnSync } from "node:child_process";
import { readFile } from "node:fs/promises";
import path from "node:path";
import { expect, it } from "vitest";
import { typedText } from "../../bench/lib/options.ts";

const { scripts } = JSON.parse(await readFile("package.json", "utf8")) as { scripts: Record<string, string> };
const PROGRAMS = Object.entries(scripts).flatMap(([name, line]) => {
  const [, file] = /^node ([\w/-]+\.ts)$/.exec(line) ?? [];
  return file === undefined ? [] : [[name, file] as const];
});

const TYPED = path.resolve("scripts/typed.ts");
const PROGRAM = `
import { typed } from ${JSON.stringify(TYPED)};
const { values, positionals } = typed("npm run it -- [ROW…] [--out FOLDER]", { out: { type: "string", default: "x" } }, { what: "row", all: ["one", "two"] });
console.log(JSON.stringify([values.out, positionals]));
`;
const ran = (...args: string[]) => {
  const words = ["--input-type=module", "--eval", PROGRAM, "--", "it", ...args];
  const { status, stdout, stderr } = spawnSync(process.execPath, words, { encoding: "utf8" });
  return [status, stdout, stderr];
};
const USAGE = "usage: npm run it -- [ROW…] [--out FOLDER]\nrow: one, two\n";

it.each([
  [[], [0, '["x",[]]\n', ""]],
  [
    ["two", "--out", "y", "one"],
    [0, '["y",["two","one"]]\n', ""],
  ],
  [["--help"], [0, USAGE, ""]],
  [
    ["three", "-h"],
    [0, USAGE, ""],
  ],
  [["three"], [2, "", `no row is called three\n${USAGE}`]],
  [
    ["--uot", "y"],
    [2, "", `Unknown option '--uot'\n${USAGE}`],
  ],
  [["--out"], [2, "", `Option '--out <value>' argument missing\n${USAGE}`]],
])("of %j comes %j", (args, came) => {
  expect(ran(...args)).toEqual(came);
});

it("all that package.json starts read their words so, before all else", async () => {
  expect(PROGRAMS.map(([name]) => name).sort()).toEqual(["bench", "build", "drill", "flood", "fuzz", "pack", "sim"]);
  for (const [name, file] of PROGRAMS) {
    const text = await readFile(file, "utf8");
    expect(text).toMatch(/^import \{.*\btyped\b.*\} from "(?:\.\.?\/)+(?:scripts\/)?typed\.ts";$/m);
    expect(text.replace(/\s/g, ""), file).toContain(`npmrun${name}`);
    expect(text, file).not.toMatch(/process\.argv|parseArgs/);
  }
});

it.each([
  [["court", "--seed", "7"], "7"],
  [["court", "--seed=7", "--count", "2"], "7"],
  [["world", "--count=3", "--json"], null],
  [["--json", "court"], null],
])("a bench hears of a seed in %j: %j", (args, seed) => {
  expect(typedText("seed", args)).toBe(seed);
});

it("npm run pack -- --help packs nothing", () => {
  const { status, stdout, stderr } = spawnSync(process.execPath, ["scripts/pack/main.ts", "--help"], { encoding: "utf8" });
  expect([status, stdout.split("\n")[0], stderr]).toEqual([0, "usage: npm run pack [-- --out FOLDER] [--machine x64|arm64|none]", ""]);
});
