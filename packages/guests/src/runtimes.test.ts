/** The digest of a large file is kept with what tells whether it is still that file. */
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { pythonRuntime } from "./index.ts";

let folder: string;
beforeAll(async () => void (folder = await mkdtemp(path.join(tmpdir(), "xeno-runtimes-"))));
afterAll(() => rm(folder, { recursive: true }));

const kept = (): string => path.join(folder, "python.json");
interface Kept {
  state: [string, number, number, number];
  digest: string;
}

it("is taken from where it was kept while the file is the same, and read anew where it is not or that is damaged", async () => {
  const { digest } = await pythonRuntime();
  expect((await pythonRuntime(folder)).digest).toBe(digest);
  const { state, digest: found } = JSON.parse(await readFile(kept(), "utf8")) as Kept;
  expect(found).toBe(digest);
  const other = "0".repeat(64);
  await writeFile(kept(), JSON.stringify({ state, digest: other }));
  expect((await pythonRuntime(folder)).digest).toBe(other);
  const [file, size, mtimeMs, ino] = state;
  for (const changed of [
    ["elsewhere.wasm", size, mtimeMs, ino],
    [file, size + 1, mtimeMs, ino],
    [file, size, mtimeMs + 1, ino],
    [file, size, mtimeMs, ino + 1],
  ]) {
    await writeFile(kept(), JSON.stringify({ state: changed, digest: other }));
    expect((await pythonRuntime(folder)).digest).toBe(digest);
  }
  await writeFile(kept(), "{");
  expect((await pythonRuntime(folder)).digest).toBe(digest);
  expect((await pythonRuntime(path.join(folder, "none"))).digest).toBe(digest);
});
