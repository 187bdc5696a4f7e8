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
      isDom0: false,
    };
    const file = path.join(folder, "xenoserver.service");
    const guests = path.join(folder, "xenoserver-guests.service");
    for (const [manager, isDom0] of [
      ["system", false],
      ["system", true],
      ["user", false],
    ] as const) {
      await writeFile(file, unitText({ ...unit, manager, isDom0 }));
      await writeFile(guests, guestsUnitText({ manager, isDom0 }));
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
  const text = unitText({ ...at, manager, metricsPort: 7402, isDom0: false });

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

describe("units of a server in dom0", () => {
  const at = {
    node: "/n",
    entry: "/e",
    program: "/p",
    folder: "/srv/xeno",
    configFile: "/c",
    manager: "system",
    metricsPort: null,
  } as const;
  const lines = (isDom0: boolean): Record<"daemon" | "guests", string[]> => ({
    daemon: unitText({ ...at, isDom0 }).split("\n"),
    guests: guestsUnitText({ manager: "system", isDom0 }).split("\n"),
  });

  it.each(["daemon", "guests"] as const)(
    "may open what calls on the hypervisor and disks of domains need, where all else is closed: %s",
    (unit) => {
      const allowed = (isDom0: boolean) => lines(isDom0)[unit].filter((line) => line.startsWith("DeviceAllow="));
      for (const device of [
        "/dev/xen/privcmd",
        "/dev/xen/evtchn",
        "/dev/xen/gntdev",
        "/dev/loop-control",
        "block-loop",
        "/dev/mapper/control",
      ])
        expect(allowed(true)).toContain(`DeviceAllow=${device} rw`);
      expect(allowed(false)).toEqual(["DeviceAllow=/dev/kvm rw"]);
    },
  );

  it("are allowed devices that are there by then, and folders in which Xen's toolstack writes", () => {
    const { daemon, guests } = lines(true);
    for (const unit of [daemon, guests])
      expect(unit.find((line) => line.startsWith("Wants=modprobe@"))).toContain(" modprobe@dm_snapshot.service");
    expect(daemon).toContain('ReadWritePaths="/srv/xeno" -/run -/var/lib/xen -/var/log/xen');
    expect(lines(false).daemon).toContain('ReadWritePaths="/srv/xeno"');
  });

  it("have bounds for disks, and let go of threads of dom0's kernel that live on with their domains", () => {
    expect(lines(true).guests).toContain("Delegate=cpu io memory pids");
    expect(lines(true).guests.filter((line) => line.startsWith("ExecStop="))).toHaveLength(1);
    expect(lines(false).guests).toContain("Delegate=cpu memory pids");
    expect(lines(false).guests.filter((line) => line.startsWith("ExecStop="))).toEqual([]);
  });
});

it("refuses what systemd would not start, or read as another line", () => {
  for (const name of ['q"uote', "it's", "back\\slash", "a\nExecStartPre=/bin/sh"])
    expect(pathProblem("/plain", `/x/${name}`)).toContain("no unit can name");
  expect(pathProblem("/plain", "/with space/100%/$HOME/a:b")).toBeNull();
});
