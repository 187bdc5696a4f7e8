import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { environmentOf } from "./environment.ts";

let folder: string;
let file: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "xeno-environment-"));
  file = path.join(folder, "list");
  process.env["XENO_TEST_OWN"] = "own";
});
afterAll(async () => {
  delete process.env["XENO_TEST_OWN"];
  await rm(folder, { recursive: true, force: true });
});

const of = (env: string[], envFile: string[] = []) => [...environmentOf({ env, envFile })];
async function listed(text: string | Uint8Array, env: string[] = []): Promise<[string, string][]> {
  await writeFile(file, text);
  return of(env, [file]);
}

it("is what is typed; a name alone is this side's own, and the last of a name counts", () => {
  expect(of(["A=b c=d", "B=", "XENO_TEST_OWN", "XENO_TEST_NONE", "A=2"])).toEqual([
    ["A", "2"],
    ["B", ""],
    ["XENO_TEST_OWN", "own"],
  ]);
  expect(() => of(["=x"])).toThrow("--env '=x' names nothing: write NAME=VALUE");
});

it("is what a file lists, line by line as it stands, before what is typed", async () => {
  expect(await listed('\uFEFFA=1\r\n# no\n\n  B="q x" \nXENO_TEST_OWN\nXENO_TEST_NONE\nC==\n', ["A=typed"])).toEqual([
    ["A", "typed"],
    ["B", '"q x" '],
    ["XENO_TEST_OWN", "own"],
    ["C", "="],
  ]);
});

it("says which line of which file is wrong", async () => {
  await expect(listed("A=1\nexport B=2\n")).rejects.toThrow(`--env-file ${file}, line 2: 'export B=2' has a space`);
  await expect(listed("=2\n")).rejects.toThrow("line 1: '=2' names nothing");
  await expect(listed(Uint8Array.of(65, 61, 255))).rejects.toThrow(`--env-file ${file} cannot be read as text`);
  expect(() => of([], [path.join(folder, "none")])).toThrow("ENOENT");
});
