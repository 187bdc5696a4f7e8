import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { readEnd, writeEnd } from "./written-end.ts";

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "xeno-end-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe("a machine's written end", () => {
  it("is read as it was written, of an image's job", async () => {
    const end = {
      exitCode: 3,
      tree: [
        { path: "out", kind: "directory" as const },
        { path: "out/a", kind: "file" as const, digest: "0".repeat(64), size: 1 },
        { path: "out/b", kind: "link" as const, target: "a" },
      ],
      detail: "",
      stopped: true,
    };
    await writeEnd(folder, end);
    expect(await readEnd(folder)).toEqual({ kind: "job", ...end });
  });

  it("has when it was, for a daemon that comes later", async () => {
    await writeEnd(folder, { exitCode: 0, tree: [], detail: "", stopped: false, endedMonotonicMs: 12.5 });
    expect(await readEnd(folder)).toMatchObject({ kind: "job", endedMonotonicMs: 12.5 });
  });

  it("is read as it was written, of a deterministic machine", async () => {
    const end = { kind: "deterministic" as const, instructions: 2n ** 60n, memoryHash: "ab" };
    await writeEnd(folder, end);
    expect(await readEnd(folder)).toEqual(end);
  });

  it("is none where none was written", async () => {
    expect(await readEnd(path.join(folder, "nothing"))).toBeNull();
  });

  it.each([
    "{",
    "null",
    '{"exitCode":0,"tree":[{"path":"a","kind":"device"}],"detail":""}',
    '{"exitCode":"0","tree":[],"detail":""}',
    '{"kind":"deterministic","instructions":"many","memoryHash":"ab"}',
  ])("is refused by the file's name where it is damaged: %s", async (text) => {
    await writeFile(path.join(folder, "end.json"), text);
    await expect(readEnd(folder)).rejects.toThrow(/end\.json does not hold what this program writes into it/);
  });
});
