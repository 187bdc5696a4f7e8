import { execFile, spawnSync } from "node:child_process";
import { chmod, mkdir, mkdtemp, realpath, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { guestsUnitText, pathProblem, unitText } from "./install-unit.ts";

const run = promisify(execFile);
const systemd = !spawnSync("systemd-analyze", ["--version"]).error;
if (!systemd) console.warn("SKIPPED: systemd-analyze (Debian's systemd) is not installed");
/**
 * The most on systemd's scale from 0 (closed) to 100 (open), as measured: a daemon that makes namespaces, groups and machines for its
 * guests, as root or under a user's own systemd.
 */
const EXPOSURE_MAX = { root: 50, user: 74 };
const ONLY_ROOT = [
  ...["CapabilityBoundingSet", "ProtectHome", "ProtectSystem", "PrivateTmp", "PrivateMounts", "DevicePolicy", "BindPaths"],
  ...["ProtectKernelLogs", "ProtectKernelModules", "ProtectClock", "ProtectHostname"],
];

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
    const unit = {
      node: at("node"),
      entry: at("xeno.js"),
      program: at(),
      folder: at("data"),
      configFile: at("data/x.toml"),
      manager: "system" as const,
      metricsPort: null,
    };
    const file = path.join(folder, "xenoserver.service");
    const guests = path.join(folder, "xenoserver-guests.service");
    for (const manager of ["system", "user"] as const) {
      await writeFile(file, unitText({ ...unit, manager }));
      await writeFile(guests, guestsUnitText(manager));
      if (!systemd) continue;
      const { stderr } = await run("systemd-analyze", [`--${manager}`, "verify", file, guests], {
        env: { ...process.env, XDG_RUNTIME_DIR: folder },
      });
      expect(stderr.split("\n").filter((line) => line.includes("xenoserver"))).toEqual([]);
    }
  },
);

describe.each([
  ["root", "system"],
  ["user", "user"],
] as const)("a unit for %s", (who, manager) => {
  const at = {
    node: "/opt/xeno/node",
    entry: "/opt/xeno/xeno.js",
    program: "/opt/xeno",
    folder: "/srv/xeno",
    configFile: "/srv/xeno/x.toml",
  };
  const text = unitText({ ...at, manager, metricsPort: 7402 });

  it("says who runs it, and what of the host is closed to it", () => {
    expect(text).toContain(`\nWantedBy=${manager === "system" ? "multi-user" : "default"}.target\n`);
    expect(text).toContain("\nNoNewPrivileges=yes\n");
    expect(text).toContain(' --config "/srv/xeno/x.toml" --metrics-port 7402\n');
    // a user's systemd has no right to put these up: one that does not pass over them does not start the unit
    for (const setting of ONLY_ROOT) expect(text.includes(`\n${setting}=`)).toBe(manager === "system");
  });

  it.skipIf(!systemd)("is no more open than it was measured to be", async () => {
    const file = path.join(folder, "xenoserver.service");
    await writeFile(file, text);
    await run("systemd-analyze", ["security", "--offline=true", `--threshold=${EXPOSURE_MAX[who]}`, file]);
    // it would notice
    await expect(run("systemd-analyze", ["security", "--offline=true", `--threshold=${EXPOSURE_MAX[who] - 10}`, file])).rejects.toThrow();
  });
});

it("refuses what systemd would not start, or read as another line", () => {
  for (const name of ['q"uote', "it's", "back\\slash", "a\nExecStartPre=/bin/sh"])
    expect(pathProblem("/plain", `/x/${name}`)).toContain("no unit can name");
  expect(pathProblem("/plain", "/with space/100%/$HOME/a:b")).toBeNull();
});
