import { mkdir, mkdtemp, open, readFile, readlink, readdir, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import type { InputEntry } from "@xenoservers/protocol/channel";
import { afterEach, beforeEach, expect, it } from "vitest";
import { bytesBlob } from "./blob.ts";
import { fileBlob, readTree } from "./tree.ts";
import { writeTree } from "./write-tree.ts";

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

it("leaves alone what did not change, and removes what is gone", async () => {
  await writeFile(path.join(folder, "same"), "same");
  await writeFile(path.join(folder, "gone"), "gone");
  const before = await readTree(folder);
  let fetched = 0;
  await writeTree(folder, [file("same", "same"), file("new", "new")], { fetch: (entry) => (fetched++, fetch(entry)), before });
  expect(fetched).toBe(1);
  expect((await readdir(folder)).sort()).toEqual(["new", "same"]);
});

it("says what is in the way of a folder that cannot be read", async () => {
  await writeFile(path.join(folder, "one"), "");
  await expect(readTree(path.join(folder, "one"))).rejects.toThrow(/cannot read the folder .*one: it is a file, and a folder is wanted$/);
  await expect(readTree(path.join(folder, "two"))).rejects.toThrow(/two: it is not there$/);
});

it("a read that is under way where no more is wanted may fail: nobody waits for it", async () => {
  const large = path.join(folder, "large");
  await writeFile(large, Buffer.alloc(3 * 1024 * 1024));
  const handle = await open(large);
  const reading = Object.getPrototypeOf(handle) as { read: unknown };
  await handle.close();
  const { read } = reading;
  const later = Promise.withResolvers<never>();
  // a spy would handle what it returns
  const answers = [Promise.resolve({ bytesRead: 1024 * 1024 }), later.promise];
  reading.read = () => answers.shift();
  const off = (): never => {
    throw new Error("called off");
  };
  const unheard: unknown[] = [];
  const hear = (error: unknown): void => void unheard.push(error);
  process.on("unhandledRejection", hear);
  try {
    await expect(fileBlob(large, off)).rejects.toThrow("called off");
    later.reject(new Error("the disk is gone"));
    await new Promise(setImmediate);
    expect([unheard, answers]).toEqual([[], []]);
  } finally {
    process.removeListener("unhandledRejection", hear);
    reading.read = read;
  }
});
