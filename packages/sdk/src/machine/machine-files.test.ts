/** Several who write one file of a guest at once, and names as long as any. */
import { mkdtemp, readFile, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { plainPart } from "../guest/copy-in.ts";
import { ShellHere, hasPerl } from "../guest/guest.fixture.ts";
import { AnyMachineFiles } from "./machine-files.ts";

const here = new ShellHere();
let folder: string;
beforeEach(async () => void (folder = await mkdtemp(path.join(tmpdir(), "xeno-machine-files-"))));
afterEach(async () => {
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
