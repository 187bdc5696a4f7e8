import { mkdir, mkdtemp, readFile, readdir, rm, stat, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { forgetSandbox, keptSandbox } from "./kept-sandbox.ts";
import type { Sandbox } from "./sandbox.ts";

let folder: string;
let first: Sandbox;
const at = (...names: string[]): string => path.join(folder, "kept", ...names);
const made = (): Promise<Sandbox> => keptSandbox(at(), new Map());
/** Written anew it is another file. */
const triedAt = async (): Promise<number> => (await stat(at("tried.json"))).ino;
const roots = async (): Promise<string[]> => (await readdir(at())).filter((name) => name.startsWith("root-"));
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "xeno-kept-"));
  first = await made();
});
afterAll(() => rm(folder, { recursive: true, force: true }));

it("is for its user alone, and what holds nothing back is not kept", async () => {
  expect((await stat(at())).mode & 0o777).toBe(0o700);
  expect((await readdir(at())).includes("tried.json")).toBe(first.strength === "strong");
});

describe("a sandbox that was tried", () => {
  /** Changes what is kept of it. */
  const edited = async (change: (kept: { host: string[]; files: unknown[][]; tried: Record<string, string> }) => void): Promise<void> => {
    const kept = JSON.parse(await readFile(at("tried.json"), "utf8")) as Parameters<typeof change>[0];
    change(kept);
    await writeFile(at("tried.json"), JSON.stringify(kept));
  };

  it("is taken again as it was", async ({ skip }) => {
    if (first.strength === "weak") skip(first.why);
    const before = await triedAt();
    const again = await made();
    expect([again.command("/w"), again.beneath, again.limits]).toEqual([first.command("/w"), first.beneath, first.limits]);
    expect(await triedAt()).toBe(before);
    expect(await roots()).toHaveLength(1);
  });

  it.each<[string, () => Promise<void>]>([
    ["the machine was started since", () => edited(({ host }) => (host[0] = "another boot"))],
    [
      "another version of this program starts it in another way",
      () => edited(({ host }) => void host.forEach((each, i) => (host[i] = each.replace("pivot_root", "chroot")))),
    ],
    ["a file that it was made of changed", () => edited(({ files }) => (files[0]![2] = 1))],
    ["it did not hold guests", () => edited(({ tried }) => (tried["namespaces"] = "there are none"))],
    ["its root lies elsewhere", () => edited(({ tried }) => (tried["root"] = folder))],
    ["what is kept is damaged", () => writeFile(at("tried.json"), '{"host":[')],
  ])("is tried again where %s", async (_, change) => {
    if (first.strength === "weak") return;
    await change();
    const before = await stat(at("tried.json")).then(
      ({ ino }) => ino,
      () => 0,
    );
    await made();
    expect(await triedAt()).not.toBe(before);
    const anew = await triedAt();
    await made();
    expect(await triedAt()).toBe(anew);
  });

  it.each<[string, string, (file: string, bytes: Buffer) => Promise<void>]>([
    [
      "the worker is another of the same length and time",
      "app/worker/main.js",
      (file, bytes) => writeFile(file, bytes.fill("x", 100, 101)),
    ],
    ["setpriv is cut off", "bin/setpriv", (file, bytes) => writeFile(file, bytes.subarray(1))],
    ["Node is gone", "bin/node", (file) => rm(file)],
  ])("is laid out anew where %s, and is what it was", async (_, name, damage) => {
    if (first.strength === "weak") return;
    const root = at(/root-\w+/.exec(await readFile(at("tried.json"), "utf8"))![0]);
    const [before, file] = [await triedAt(), path.join(root, name)];
    const [bytes, { atime, mtime }] = [await readFile(file), await stat(file)];
    await damage(file, Buffer.from(bytes));
    await utimes(file, atime, mtime).catch(() => {});
    await made();
    expect(await triedAt()).not.toBe(before);
    expect((await readFile(file)).equals(bytes)).toBe(true);
  });

  it("that is taken again is in use: another version that clears the folder leaves it", async () => {
    if (first.strength === "weak") return;
    await made();
    const [kept] = /root-\w+/.exec(await readFile(at("tried.json"), "utf8"))!;
    await utimes(at(kept), new Date(0), new Date(0));
    await made();
    await edited(({ host }) => (host[0] = "of another version"));
    await made();
    expect(await roots()).toContain(kept);
  });

  it("leaves nothing of others that is older than a day", async () => {
    for (const name of ["root-old", "trial-old", "root-new"]) await mkdir(at(name), { recursive: true });
    for (const name of ["root-old", "trial-old"]) await utimes(at(name), new Date(0), new Date(0));
    await forgetSandbox(at());
    await made();
    expect((await readdir(at())).filter((name) => /old|new/.test(name))).toEqual(["root-new"]);
  });
});
