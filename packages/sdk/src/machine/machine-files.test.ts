/** Several who write one file of a guest at once, and names as long as any. */
import { mkdir, mkdtemp, readFile, readdir, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { plainPart } from "../guest/copy-in.ts";
import { GuestFiles, type GuestEntry } from "../guest/files.ts";
import { ShellHere, hasPerl } from "../guest/guest.fixture.ts";
import { AnyMachineFiles } from "./machine-files.ts";

const here = new ShellHere();
let folder: string;
beforeEach(async () => void (folder = await mkdtemp(path.join(tmpdir(), "xeno-machine-files-"))));
afterEach(async () => {
  vi.restoreAllMocks();
  here.end();
  await rm(folder, { recursive: true, force: true });
});
const at = (name: string): string => path.join(folder, name);
/** Each call opens a shell of its own. */
const files = (): AnyMachineFiles =>
  new AnyMachineFiles(Object.assign(here.link(), { shell: (...given: [never]) => here.link().shell(...given) }));

describe.skipIf(!hasPerl)("files of a machine", () => {
  it("have names as long as any", async () => {
    for (const name of ["x".repeat(255), "ü".repeat(127)]) {
      await files().write(at(name), name);
      expect(await readFile(at(name), "utf8")).toBe(name);
    }
  });

  it("are listed folder by folder: what lies below one is not looked at", async () => {
    await mkdir(at("in/deep/er"), { recursive: true });
    await writeFile(at("in/b"), "four");
    await writeFile(at("in/deep/c"), "");
    await symlink("deep", at("in/l"));
    const bare = ({ path, kind, size, target }: GuestEntry) => [path, kind, kind === "file" ? size : 0, target];
    const wanted = [
      ["b", "file", 4, ""],
      ["deep", "folder", 0, ""],
      ["l", "link", 0, "deep"],
    ];
    expect((await files().entries(at("in"))).map(bare)).toEqual(wanted);
    const before = here.bytes;
    expect((await files().entries(at("in/l"))).map(({ path }) => path)).toEqual(["c", "er"]);
    expect(here.bytes - before).toBeLessThan(2_000);
    // the shell of a server that is older than this knows no such request
    vi.spyOn(GuestFiles.prototype, "can").mockResolvedValue(false);
    expect((await files().entries(at("in"))).map(bare)).toEqual(wanted);
    await expect(files().entries(at("nowhere"))).rejects.toThrow("No such file");
  });

  it("tell how much of them has come and gone", async () => {
    const [gone, come]: number[][] = [[], []];
    const bytes = Buffer.alloc(20 * 1024 * 1024 + 7, "x");
    await files().write(at("f"), new Blob([bytes]), { onBytes: (more) => void gone!.push(more) });
    const blob = await files().readBlob(at("f"), { onBytes: (more) => void come!.push(more) });
    const sum = (counts: number[]): number => counts.reduce((all, each) => all + each, 0);
    expect([blob.size, sum(gone!), sum(come!)]).toEqual([bytes.length, bytes.length, bytes.length]);
    expect(Math.max(...gone!, ...come!)).toBeLessThanOrEqual(64 * 1024);
  });

  it("are one of those that were written at once, whole, and nothing else is left", async () => {
    const all = ["a", "b", "c", "d"].map((letter) => letter.repeat(3_000_000));
    await Promise.all(all.map((text) => files().write(at("f"), text)));
    expect(all).toContain(await readFile(at("f"), "utf8"));
    expect(await readdir(folder)).toEqual(["f"]);
  });

  it("are written anew in the place of what was called off half-way: nothing of that is left", async () => {
    const [to, off] = [files(), new AbortController()];
    const size = 16 * 1024 * 1024;
    const never = new Promise<ArrayBuffer>(() => {});
    const half = { size, slice: (at = 0) => ({ arrayBuffer: async () => (at === 0 ? new ArrayBuffer(size / 2) : never) }) };
    const written = to.write(at("f"), half as unknown as Blob, { signal: off.signal });
    while ((await readdir(folder)).length === 0) await new Promise((later) => setImmediate(later));
    off.abort();
    await expect(written).rejects.toThrow("called off");
    await to.write(at("f"), "whole");
    expect([await readFile(at("f"), "utf8"), await readdir(folder)]).toEqual(["whole", ["f"]]);
  });

  it.each(["first", "second"])("are never half of another copy's, which has the same part, where the %s is done before", async (done) => {
    const [first, second] = [await here.open(), await here.open()];
    const halves = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const wanted = { path: at("f"), part: plainPart(at("f")), offset: 0, size: 200_000, mode: 0o644, owner: null, mtime: 1 };
    async function* pieces(letter: string, half: Promise<void>) {
      yield Buffer.alloc(100_000, letter);
      await half;
      yield Buffer.alloc(100_000, letter);
    }
    const began = async (letter: string): Promise<void> => {
      for (let seen = ""; !seen.startsWith(letter);) seen = await readFile(wanted.part, "utf8").catch(() => "");
    };
    const copies = [first.put(wanted, pieces("1", halves[0]!.promise))];
    await began("1");
    copies.push(second.put(wanted, pieces("2", halves[1]!.promise)));
    await began("2");
    const order = done === "first" ? [0, 1] : [1, 0];
    const came: string[] = [];
    for (const i of order) {
      halves[i]!.resolve();
      came[i] = await copies[i]!.then(
        () => "whole",
        (error: Error) => error.message,
      );
      // the first is done while the second has half of its own there
      if (done === "first" && i === 0) expect(await readdir(folder)).not.toContain("f");
    }
    expect(came).toEqual([`${at("f")}: another copy of it has begun`, "whole"]);
    expect(await readFile(at("f"), "utf8")).toBe("2".repeat(200_000));
    expect(await readdir(folder)).toEqual(["f"]);
  });
});
