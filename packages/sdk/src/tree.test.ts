import { lstat, mkdir, mkdtemp, readFile, readlink, readdir, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import type { InputEntry } from "@xenoservers/protocol/channel";
import { afterEach, beforeEach, expect, it } from "vitest";
import { bytesBlob, readTree, writeTree } from "./tree.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "xeno-tree-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const contents = new Map<string, Uint8Array>();
function file(at: string, text: string): InputEntry {
  const blob = bytesBlob(Buffer.from(text));
  contents.set(blob.digest, Buffer.from(text));
  return { path: at, kind: "file", digest: blob.digest, size: blob.size };
}
const link = (at: string, target: string): InputEntry => ({ path: at, kind: "link", target });
const fetch = async ({ digest }: { digest: string }): Promise<Uint8Array> => contents.get(digest)!;

it("brings a folder there and back: files, empty folders, links as links", async () => {
  const source = path.join(folder, "source");
  await mkdir(path.join(source, "sub/empty"), { recursive: true });
  await writeFile(path.join(source, "sub/one"), "one");
  await symlink("one", path.join(source, "sub/alias"));
  const entries = await readTree(source);
  expect(entries.map(({ path: at, kind }) => `${kind} ${at}`)).toEqual([
    "directory sub",
    "link sub/alias",
    "directory sub/empty",
    "file sub/one",
  ]);
  const one = file("sub/one", "one");
  expect(entries.at(-1)).toMatchObject({ blob: one.kind === "file" ? { digest: one.digest, size: 3 } : {} });
  const sent = entries.map((entry) => (entry.kind === "file" ? one : entry));
  expect(await writeTree(path.join(folder, "back"), sent, { fetch })).toEqual([]);
  expect(await readFile(path.join(folder, "back/sub/one"), "utf8")).toBe("one");
  expect(await readlink(path.join(folder, "back/sub/alias"))).toBe("one");
});

it.each([
  ["an absolute target", [link("a", "/etc/passwd")]],
  ["more ups than it lies deep", [link("d/a", "../../x")]],
  ["an up behind a name that is a link itself", [link("x", "."), link("a", "x/x/../../etc/passwd")]],
  ["an up behind a folder", [file("d/f", "f"), link("a", "d/../../x")]],
])("never makes a link that leads outside: %s", async (_, entries) => {
  const out = path.join(folder, "out");
  const skipped = await writeTree(out, entries, { fetch });
  expect(skipped).toEqual([expect.stringContaining("a link that points outside")]);
  await expect(lstat(path.join(out, "a"))).rejects.toThrow(/ENOENT/);
});

it("keeps links that stay inside", async () => {
  const out = path.join(folder, "out");
  const entries = [file("d/e/f", "f"), link("d/e/up", "../../top"), link("d/root", ".."), file("top", "t")];
  expect(await writeTree(out, entries, { fetch })).toEqual([]);
  expect(await readFile(path.join(out, "d/e/up"), "utf8")).toBe("t");
});

it("never writes through a link, made before or by the result itself", async () => {
  const out = path.join(folder, "out");
  await mkdir(out);
  await symlink(folder, path.join(out, "mine"));
  await expect(writeTree(out, [file("mine/planted", "x")], { fetch })).rejects.toThrow(/which is no folder/);
  await expect(writeTree(out, [file("d/f", "x"), link("l", "d"), file("l/planted", "x")], { fetch })).rejects.toThrow(/which is no folder/);
  // a link of that name gives way to the file, its target is untouched
  await writeFile(path.join(folder, "kept"), "kept");
  await symlink("../kept", path.join(out, "f"));
  await writeTree(out, [file("f", "new")], { fetch });
  expect(await readFile(path.join(folder, "kept"), "utf8")).toBe("kept");
  expect(await readFile(path.join(out, "f"), "utf8")).toBe("new");
});

it("leaves alone what did not change, and removes what is gone", async () => {
  await writeFile(path.join(folder, "same"), "same");
  await writeFile(path.join(folder, "gone"), "gone");
  const before = await readTree(folder);
  let fetched = 0;
  await writeTree(folder, [file("same", "same"), file("new", "new")], { fetch: (entry) => (fetched++, fetch(entry)), before });
  expect(fetched).toBe(1);
  expect((await readdir(folder)).sort()).toEqual(["new", "same"]);
});
