import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { InputError } from "../errors.ts";
import { entriesOf, inputsOf } from "./input-files.ts";

let folder: string;
beforeEach(async () => void (folder = await mkdtemp(path.join(tmpdir(), "xeno-input-files-"))));
afterEach(() => rm(folder, { recursive: true, force: true }));

it("stand by their names, folders first, whatever they are", async () => {
  await writeFile(path.join(folder, "here"), "file");
  const bytes = Uint8Array.of(1, 2);
  const entries = await entriesOf({ "a/b/c.txt": "text", "/in/d": bytes, e: { path: path.join(folder, "here") } });
  expect(entries.map(({ path: at, kind }) => `${kind} ${at}`)).toEqual([
    "directory a",
    "directory a/b",
    "file a/b/c.txt",
    "file d",
    "file e",
  ]);
  bytes.fill(9); // what its owner does with it later changes nothing
  const sent = entries[3];
  expect(sent?.kind === "file" && [...(await sent.blob.read(0, 2))]).toEqual([1, 2]);
});

it.each(["", "/", "../x", "a/../b", "a//b", "./a", "/in/", "/etc/passwd", "a\0b", "a/"])("%j is no name", async (name) => {
  await expect(entriesOf({ [name]: "" })).rejects.toThrow(InputError);
});

it("are not two of one name, nor what is not there", async () => {
  await expect(entriesOf({ a: "", "/in/a": "" })).rejects.toThrow("a stands there twice");
  await expect(entriesOf({ a: "", "a/b": "" })).rejects.toThrow("a is a file and a folder");
  await expect(entriesOf({ a: { path: path.join(folder, "gone") } })).rejects.toThrow("cannot be read");
});

it("lie beside a folder's own, and in its folders, but never on its files", async () => {
  await mkdir(path.join(folder, "sub"));
  await writeFile(path.join(folder, "sub/one"), "1");
  const both = await inputsOf({ in: folder, files: await entriesOf({ "sub/two": "2" }) });
  expect(both?.map(({ path: at }) => at)).toEqual(["sub", "sub/one", "sub/two"]);
  await expect(inputsOf({ in: folder, files: await entriesOf({ "sub/one": "2" }) })).rejects.toThrow("sub/one lies in");
  await expect(inputsOf({ in: folder, files: await entriesOf({ sub: "2" }) })).rejects.toThrow("sub lies in");
  expect(await inputsOf({})).toBeNull();
});

it.each(["/dev/zero", "/dev", "/dev/null"])("%s, which is no file, is refused before it is read", async (name) => {
  await expect(entriesOf({ a: { path: name } })).rejects.toThrow(/cannot be read \(.* is no file\)/);
});
