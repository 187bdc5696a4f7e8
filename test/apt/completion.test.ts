/** Completion in the shells themselves: keys typed on a terminal, and what the line has become. */
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { command } from "../process/command.ts";
import { until } from "../until.ts";

const has = (program: string): boolean => spawnSync("which", [program]).status === 0;
const missing = ["bash", "zsh", "fish", "script"].filter((program) => !has(program));
if (missing.length > 0) console.warn(`SKIPPED: completion needs of Debian's packages: ${missing.join(", ")}`);

let home: string;
beforeAll(async () => {
  home = await mkdtemp(path.join(tmpdir(), "xeno-completion-"));
  await mkdir(path.join(home, "data/completion/leases"), { recursive: true });
  for (const lease of ["abcdef012345", "0123456789ab"]) await writeFile(path.join(home, "data/completion/leases", lease), "");
  await writeFile(path.join(home, "data/completion/contexts"), "market.example\n");
  for (const shell of ["bash", "zsh", "fish"]) await writeFile(path.join(home, shell), (await command(home, "completion", shell)).stdout);
});
afterAll(() => rm(home, { recursive: true, force: true }));

/** What is typed, a tab among it, and the words that the line has then. */
const ROWS: readonly [string, string][] = [
  ["xeno lea\t sto\t", "lease stop"],
  ["xeno lease stop ab\t", "lease stop abcdef012345"],
  ["xeno rm 01\t", "rm 0123456789ab"],
  ["xeno run --max-pr\t", "run --max-price"],
  ["xeno run --assurance repl\t", "run --assurance replicated"],
  ["xeno context use mar\t", "context use market.example"],
  ["xeno completion fi\t", "completion fish"],
  ["xeno token crea\t --lease-l\t", "token create --lease-label"],
];

describe.skipIf(missing.length > 0)("completion", () => {
  it.each([
    ["bash", "bash --norc --noprofile -i"],
    ["zsh", "zsh -f -i"],
  ])("in %s knows verbs, options, their values, leases and contexts", async (shell, start) => {
    const env = { ...process.env, XENO_HOME: home, TERM: "dumb", PS1: "> " };
    const child = spawn("script", ["-qfc", start, "/dev/null"], { env, stdio: ["pipe", "pipe", "ignore"] });
    let heard = "";
    child.stdout.on("data", (bytes: Buffer) => (heard += String(bytes)));
    child.stdin.write(`xeno() { echo "ran:$*:"; }; source ${path.join(home, shell)}; echo "sour""ced"\n`);
    await until(() => heard.includes("sourced"));
    for (const [keys, words] of ROWS) {
      child.stdin.write(`${keys}\n`);
      await until(() => heard.includes(`ran:${words}:`));
    }
    const over = once(child, "close");
    child.stdin.write("exit\n");
    await over;
  });

  it.each(
    ROWS.map(([keys, words]) => [keys.replaceAll("\t", ""), words.split(" ").at(-1)!] as const).filter(
      ([keys]) => !/lea |crea /.test(keys),
    ),
  )("in fish offers for %s: %s", (typed, word) => {
    const asked = `source ${path.join(home, "fish")}; complete -C ${JSON.stringify(typed)}`;
    const { stdout } = spawnSync("fish", ["-c", asked], { env: { ...process.env, XENO_HOME: home }, encoding: "utf8" });
    expect(stdout.split("\n")).toContain(word);
  });

  it.each([
    ["xeno ", false],
    ["xeno lease ", false],
    ["xeno run --pay ", false],
    ["xeno run da", true],
    ["xeno run --out da", true],
  ])("in fish offers files for %j: %s", (typed, areOffered) => {
    const asked = `source ${path.join(home, "fish")}; complete -C ${JSON.stringify(typed)}`;
    const { stdout } = spawnSync("fish", ["-c", asked], { env: { ...process.env, XENO_HOME: home }, cwd: home, encoding: "utf8" });
    // urfave/cli 2113: fish offers files beside all that is offered, where it is not told that none can stand there
    expect(stdout).not.toBe("");
    expect(stdout.split("\n").includes("data/")).toBe(areOffered);
  });

  it("starts no program for a key, and holds nothing that a shell would run", async () => {
    for (const shell of ["bash", "zsh", "fish"]) {
      const { stdout } = await command(home, "completion", shell);
      expect(stdout).not.toMatch(
        /\b(node|npx)\b|[`]|\$\((?!command (?:cat|ls) |compgen |commandline |__xeno_words|xeno completion)(?!string trim)/,
      );
    }
  });
});
