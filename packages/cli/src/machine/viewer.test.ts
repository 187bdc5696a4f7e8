/** Viewers by others' names, as scripts that write down how they were started. */
import { access, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { passwordFile } from "@xenoservers/sdk";
import { startViewer } from "./viewer.ts";

const PASSWORD = "pa55word";
let folder: string;
let bin: string;
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "xeno-viewer-"));
  bin = path.join(folder, "bin");
  await mkdir(bin);
  vi.stubEnv("PATH", `${bin}:/usr/bin:/bin`);
  vi.stubEnv("DISPLAY", ":7");
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await rm(folder, { recursive: true, force: true });
});

/** Writes down its arguments, the file among them with its mode and folder's, and ends with that code. */
const install = (name: string, code: number): Promise<void> =>
  writeFile(
    path.join(bin, name),
    `#!/bin/sh\nPATH=/usr/bin:/bin\necho "$0 $*" > ${folder}/args\nfor f; do [ -f "$f" ] && cp "$f" ${folder}/secret && stat -c %a "$f" "$(dirname "$f")" > ${folder}/modes\ndone\nexit ${code}\n`,
    { mode: 0o755 },
  );
const left = (name: string): Promise<string> => readFile(path.join(folder, name), "utf8");

describe("a viewer", () => {
  it("has the password from a file that is nobody else's, and goes with it", async () => {
    await install("vncviewer", 3);
    const viewer = await startViewer(40_000, PASSWORD);
    expect(viewer).toMatchObject({ name: "vncviewer", asks: false });
    expect(await viewer!.ended).toBe(3);
    const args = await left("args");
    expect(args).toMatch(/vncviewer -passwd \S+ 127\.0\.0\.1::40000\n$/);
    expect(args).not.toContain(PASSWORD);
    expect(await readFile(path.join(folder, "secret"))).toEqual(passwordFile(PASSWORD));
    expect(await left("modes")).toBe("600\n700\n");
    const [, file] = /-passwd (\S+)/.exec(args)!;
    await viewer!.close();
    await expect(access(path.dirname(file!))).rejects.toThrow();
  });

  it("of another kind has it in the kind's own words, or asks for it", async () => {
    await install("gvncviewer", 0);
    vi.stubEnv("PATH", bin); // none of this machine's own
    const asking = await startViewer(40_000, PASSWORD);
    expect(asking).toMatchObject({ name: "gvncviewer", asks: true });
    expect(await asking!.ended).toBe(0);
    await asking!.close();
    expect(await left("args")).toMatch(/gvncviewer 127\.0\.0\.1:34100\n$/);
    await writeFile(path.join(bin, "vncviewer"), "not to be run", { mode: 0o644 });
    await install("remote-viewer", 0);
    const viewer = await startViewer(40_000, PASSWORD);
    expect(viewer).toMatchObject({ name: "remote-viewer", asks: false });
    expect(await viewer!.ended).toBe(0);
    await viewer!.close();
    expect(await left("args")).not.toContain(PASSWORD);
    expect(await left("secret")).toContain(`host=127.0.0.1\nport=40000\npassword=${PASSWORD}\n`);
  });

  it("is none where there is nothing to show it on, or none is installed", async () => {
    await install("vncviewer", 0);
    vi.stubEnv("DISPLAY", undefined);
    vi.stubEnv("WAYLAND_DISPLAY", undefined);
    expect(await startViewer(40_000, PASSWORD)).toBeNull();
    vi.stubEnv("DISPLAY", ":7");
    vi.stubEnv("PATH", folder);
    expect(await startViewer(40_000, PASSWORD)).toBeNull();
  });
});
