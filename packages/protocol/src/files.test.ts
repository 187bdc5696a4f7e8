import { runInNewContext } from "node:vm";
import { execFile } from "node:child_process";
import { mkdir, mkdtemp, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import { afterEach, beforeEach, expect, it } from "vitest";
import { ifThere, inPlace, makeFolder, moveTo, namesIn, readIfThere, writeNew, writeWhole } from "./files.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "xeno-files-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));
const at = (...names: string[]): string => path.join(folder, ...names);

it("what is not there is not there, and what cannot be read is no beginning", async () => {
  await writeFile(at("file"), "text");
  await mkdir(at("dir"));
  expect([await readIfThere(at("file")), await readIfThere(at("none")), await readIfThere(at("file", "below"))]).toEqual([
    "text",
    null,
    null,
  ]);
  expect([await namesIn(at("dir")), await namesIn(at("none"))]).toEqual([[], []]);
  await expect(readIfThere(at("dir"))).rejects.toMatchObject({ code: "EISDIR" });
  await expect(readIfThere("/proc/self/mem")).rejects.toMatchObject({ code: "EIO" });
});

it("what cannot be made or written says why, and where", async () => {
  const script = `
    import { ifThere, makeFolder, writeWhole } from ${JSON.stringify(path.join(import.meta.dirname, "files.ts"))};
    const [full] = process.argv.slice(-1);
    const says = (error) => console.log(error.code, error.path, error.message.includes(error.path));
    await makeFolder("/proc/self/of/mine").catch(says);
    await makeFolder(full + "/a/b");
    await writeWhole(full + "/a/b/file", "x".repeat(1_000_000)).catch(says);
    await writeWhole(full + "/read-only/c/file", "x").catch(says);
    process.exit();`;
  await mkdir(at("disk"));
  const words = `mount -t tmpfs -o size=512k tmpfs "$3" && mkdir "$3/read-only" && mount -t tmpfs -o ro tmpfs "$3/read-only" &&
    "$1" --input-type=module-typescript -e "$2" "$3"; ls "$3/a/b"`;
  const mounts = ["--mount", ...(process.getuid?.() === 0 ? [] : ["--user", "--map-root-user"])];
  const { stdout } = await promisify(execFile)("unshare", [...mounts, "sh", "-c", words, "sh", process.execPath, script, at("disk")]);
  expect(stdout.trimEnd().split("\n")).toEqual([
    expect.stringMatching(/^ENOENT \/proc\/\S+ true$/),
    `ENOSPC ${at("disk/a/b/file")} true`,
    `EROFS ${at("disk/read-only/c")} true`,
  ]);
  expect(await Promise.all([makeFolder(at("one/two")), makeFolder(at("one/two"))])).toEqual([undefined, undefined]);
});

it("several write one file at once, each whole, and touch nothing that lies beside it", async () => {
  await writeFile(at("file.part"), "another's");
  const texts = Array.from({ length: 20 }, (_, i) => String(i % 10).repeat(100_000 + i));
  await Promise.all(texts.map((text) => writeWhole(at("file"), text)));
  expect(texts).toContain(await readFile(at("file"), "utf8"));
  expect((await readdir(folder)).sort()).toEqual(["file", "file.part"]);
  expect(await readFile(at("file.part"), "utf8")).toBe("another's");
  await mkdir(at("dir"));
  await expect(writeWhole(at("dir"), "no folder's")).rejects.toMatchObject({ code: "EISDIR" });
  expect((await readdir(folder)).sort()).toEqual(["dir", "file", "file.part"]);
});

it("a file is replaced whole or stays as it was, and nothing of a try is left", async () => {
  await writeWhole(at("new/file"), "one");
  await writeWhole(at("new/file"), "two");
  expect([await readFile(at("new/file"), "utf8"), await readdir(at("new"))]).toEqual(["two", ["file"]]);
  await expect(writeNew(at("new/file"), "three")).rejects.toMatchObject({ code: "EEXIST" });
  await writeNew(at("other"), "three");
  expect([await readFile(at("new/file"), "utf8"), await readdir(folder), await readdir(at("new"))]).toEqual([
    "two",
    ["new", "other"],
    ["file"],
  ]);
});

it.each(["EPERM", "EISDIR"])("a new file is one, too, where files have one name only (%s)", async (code) => {
  const refuse = async (): Promise<never> => {
    throw Object.assign(new Error(code), { code });
  };
  await writeNew(at("file"), "one", refuse);
  await expect(writeNew(at("file"), "two", refuse)).rejects.toMatchObject({ code: "EEXIST" });
  expect([await readFile(at("file"), "utf8"), await readdir(folder)]).toEqual(["one", ["file"]]);
});

it("a name that somebody on Windows has open is asked for again, any other refusal is final", async () => {
  const said = ["EPERM", "EBUSY", "EACCES"];
  const waits = [0, 0, 0];
  const refusing = (codes: string[]) => async () => {
    const code = codes.shift();
    if (code !== undefined) throw Object.assign(new Error(code), { code });
  };
  await moveTo("file", "part", { windows: true, waits, move: refusing([...said]) });
  await expect(moveTo("file", "part", { windows: true, waits, move: refusing([...said, "EBUSY"]) })).rejects.toMatchObject({
    code: "EBUSY",
  });
  await expect(moveTo("file", "part", { windows: true, waits, move: refusing(["ENOENT"]) })).rejects.toMatchObject({ code: "ENOENT" });
  await expect(moveTo("file", "part", { windows: false, waits, move: refusing(["EPERM"]) })).rejects.toMatchObject({ code: "EPERM" });
});

it("know an error of the system's in a world of its own, as in Jest, where that is no Error of its", async () => {
  const foreign: unknown = runInNewContext(`Object.assign(new Error("gone"), { code: "ENOENT" })`);
  expect(foreign instanceof Error).toBe(false);
  expect(await ifThere(Promise.reject(foreign as Error))).toBeNull();
  expect(inPlace(foreign, "/a/file")).toMatchObject({ path: "/a/file", message: "gone '/a/file'" });
});
