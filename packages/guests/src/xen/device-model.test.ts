/** What is around a domain's device model, with programs of this machine's in its place. Needs root, as dom0 has it. */
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { confinementProblem, deviceModelScript, layOutDeviceModel, leaveDeviceModel } from "./device-model.ts";
import { startDeviceModel } from "./device-model.fixture.ts";

const NAME = "xeno-0123456789ab";

describe.skipIf(process.getuid?.() !== 0)("a domain's device model", () => {
  let folder: string;
  const started: ChildProcess[] = [];
  beforeEach(async () => {
    folder = await mkdtemp(path.join(tmpdir(), "xeno-device model's-"));
  });
  afterEach(async () => {
    for (const each of started.splice(0)) each.kill("SIGKILL");
    await rm(folder, { recursive: true, force: true });
  });

  /** What it said into its log, when it has ended. */
  async function said(program: string, ...words: string[]): Promise<string> {
    const file = path.join(folder, "device-model");
    await writeFile(file, deviceModelScript(null, program), { mode: 0o700 });
    await once(spawn(file, words, { stdio: "ignore", cwd: "/" }), "exit");
    return readFile(path.join(folder, "device-model.log"), "utf8");
  }
  const configOf = (): string => `device_model_override="${path.join(folder, "device-model")}"`;
  const running = async (...words: string[]): Promise<ChildProcess> => {
    await layOutDeviceModel(folder, NAME, 64);
    const child = await startDeviceModel(configOf(), ...words);
    started.push(child);
    return child;
  };

  it("begins no process, and as many threads as it likes", async () => {
    const asks =
      'console.log(require("node:child_process").spawnSync("true").error.code, typeof new (require("node:worker_threads").Worker)("0", { eval: true }))';
    expect(await said(process.execPath, "-e", asks)).toMatch(/^(ENOSYS|EAGAIN) object\n$/);
    expect(await said("/usr/bin/perl", "-e", 'print fork() // "none: $!", "\\n"')).toBe("none: Function not implemented\n");
  });

  it("sets up no loop device, whatever of one it has open", async () => {
    const asks = 'for my $call (0x4c04, 0x5401) { my $bytes = "\\0" x 256; print ioctl(STDIN, $call, $bytes) // "none: $!", "\\n" }';
    expect(await said("/usr/bin/perl", "-e", asks)).toBe("none: Function not implemented\nnone: Inappropriate ioctl for device\n");
  });

  it("has no network, and four rights of root's that it gives up", async () => {
    const shown = await said("/bin/cat", "/proc/self/status", "/proc/self/net/dev");
    expect(shown).toMatch(/^CapBnd:\s+00000000000400c4$/m);
    expect(shown).toMatch(/^NoNewPrivs:\s+1$/m);
    expect(shown.split("\n").filter((line) => /^ *\w+: +\d+ /.test(line)).length).toBe(1); // its loopback
  });

  it("writes a short log and lives on, whatever its guest makes it say", async () => {
    const floods = 'print STDERR "x" x 1000 for 1 .. 10_000; open my $end, ">", "lived"; print $end "on"';
    expect((await said("/usr/bin/perl", "-e", floods)).length).toBe(64 * 1024);
    expect(await readFile(path.join(folder, "lived"), "utf8")).toBe("on");
  });

  it("is seen to be confined once it has given up root's rights, and not to be where it keeps them", async () => {
    const confined = await running();
    expect(await confinementProblem(confined.pid!)).toBeNull();
    const keeps = await running("as-root");
    expect(await confinementProblem(keeps.pid!)).toBe("it runs as root");
    expect(await confinementProblem(process.pid)).toBe("it runs as root");
  });

  it("is ended where nobody else ended it, with its control group", async () => {
    const child = await running();
    const gone = once(child, "exit");
    const record = JSON.parse(await readFile(path.join(folder, "device-model.json"), "utf8")) as { cgroup: object | null };
    await leaveDeviceModel(folder, NAME);
    if (record.cgroup === null) child.kill("SIGKILL"); // no control groups here
    await gone;
  });
});
