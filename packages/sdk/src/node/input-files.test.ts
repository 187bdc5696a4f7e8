import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { AbortedError, InputError } from "../errors.ts";
import type { ReadProgress } from "../given-bytes.ts";
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

it("tells how much of each was read, in folders too, and reads no more once it is called off", async () => {
  await mkdir(path.join(folder, "sub"));
  const mib = new Uint8Array(1024 * 1024);
  for (const name of ["sub/large", "small"]) await writeFile(path.join(folder, name), name === "small" ? "1" : Buffer.concat([mib, mib]));
  const told: unknown[] = [];
  const onRead = ({ name, bytes, bytesInAll }: ReadProgress): void => void told.push([name, bytes, bytesInAll]);
  await inputsOf({ in: folder }, { onRead });
  await entriesOf({ x: { path: path.join(folder, "small") } }, { onRead });
  const all = 2 * mib.length;
  expect(told).toEqual([
    ["small", 1, 1],
    ["sub/large", mib.length, all],
    ["sub/large", all, all],
    ["small", 1, 1],
  ]);
  const off = new AbortController();
  const upTo: number[] = [];
  const reading = {
    signal: off.signal,
    onRead: ({ bytes }: ReadProgress): void => {
      upTo.push(bytes);
      if (bytes === mib.length) off.abort();
    },
  };
  await expect(inputsOf({ in: path.join(folder, "sub") }, reading)).rejects.toThrow(AbortedError);
  await expect(entriesOf({ x: { path: path.join(folder, "small") } }, reading)).rejects.toThrow(AbortedError);
  expect(upTo).toEqual([mib.length]);
});
