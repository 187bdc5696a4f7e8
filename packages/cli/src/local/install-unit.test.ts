import { execFile, spawnSync } from "node:child_process";
import { chmod, mkdir, mkdtemp, realpath, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import { afterEach, beforeEach, expect, it } from "vitest";
import { pathProblem, unitText } from "./install-unit.ts";

const run = promisify(execFile);
/** Its most, on systemd's scale from 0 (closed) to 100 (open): a daemon that makes namespaces, groups and machines for its guests. */
const EXPOSURE_MAX = 70;

let folder: string;
beforeEach(async () => {
  folder = await realpath(await mkdtemp(path.join(tmpdir(), "xeno-unit-")));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

it.each(["plain", "with space", "a:b", "100%n", "$HOME"])(
  "starts from where the program lies, and shows it nothing else of a home: %s",
  async (name) => {
    const at = (...names: string[]): string => path.join(folder, name, ...names);
    await mkdir(at("data"), { recursive: true });
    for (const file of ["node", "xeno.js"]) await writeFile(at(file), "#!/bin/sh\n").then(() => chmod(at(file), 0o755));
    const unit = { node: at("node"), entry: at("xeno.js"), program: at(), folder: at("data"), configFile: at("data/x.toml"), user: null };
    const file = path.join(folder, "xenoserver.service");
    await writeFile(file, unitText(unit));
    const text = unitText({ ...unit, user: "olga" });
    expect(text).toContain("\nUser=olga\nRestart=always\n");
    for (const line of ["ProtectHome=tmpfs", "PrivateTmp=yes", "NoNewPrivileges=yes", "ProtectSystem=strict"])
      expect(text).toContain(`\n${line}\n`);
    // where systemd is not here its checks are not done
    if (spawnSync("systemd-analyze", ["--version"]).error) return;
    expect((await run("systemd-analyze", ["verify", file])).stderr.split("\n").filter((line) => line.includes("xenoserver"))).toEqual([]);
    if (name !== "plain") return;
    await run("systemd-analyze", ["security", "--offline=true", `--threshold=${EXPOSURE_MAX}`, file]);
  },
);

it("refuses what systemd would not start, or read as another line", () => {
  for (const name of ['q"uote', "it's", "back\\slash", "a\nExecStartPre=/bin/sh"])
    expect(pathProblem("/plain", `/x/${name}`)).toContain("no unit can name");
  expect(pathProblem("/plain", "/with space/100%/$HOME/a:b")).toBeNull();
});
