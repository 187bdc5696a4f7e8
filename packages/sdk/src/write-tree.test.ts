/** Trees as they come back, with what a hostile job or server would name so; each case of another tool's is told where it is from. */
import { execFileSync } from "node:child_process";
import {
  link as hardLink,
  lstat,
  mkdir,
  mkdtemp,
  readFile,
  readdir,
  readlink,
  realpath,
  rename,
  rm,
  stat,
  symlink,
  writeFile,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import type { InputEntry } from "@xenoservers/protocol/channel";
import { afterAll, beforeEach, describe, expect, it } from "vitest";
import { RealFolders } from "./real-folders.ts";
import { NotDelivered } from "./session/fetches.ts";
import { noLinksHere, pathProblem, sentTarget } from "./tree-plan.ts";
import { bytesBlob } from "./blob.ts";
import { readTree } from "./tree.ts";
import { writeTree } from "./write-tree.ts";

const folder = mkdtemp(path.join(tmpdir(), "xeno-tree-"));
afterAll(async () => rm(await folder, { recursive: true, force: true }));
let made = 0;
let home: string;
let out: string;
beforeEach(async () => {
  home = path.join(await realpath(await folder), String(++made));
  out = path.join(home, "out");
  await mkdir(home);
});

const contents = new Map<string, Uint8Array>();
function file(at: string, text = "x"): InputEntry {
  const blob = bytesBlob(Buffer.from(text));
  contents.set(blob.digest, Buffer.from(text));
  return { path: at, kind: "file", digest: blob.digest, size: blob.size };
}
const link = (at: string, target: string): InputEntry => ({ path: at, kind: "link", target });
const directory = (at: string): InputEntry => ({ path: at, kind: "directory" });
async function fetch({ digest }: { digest: string }): Promise<Uint8Array> {
  const bytes = contents.get(digest);
  if (!bytes) throw new NotDelivered("not here");
  return bytes;
}
const write = (entries: readonly InputEntry[]) => writeTree(out, entries, { fetch });
const inside = (where: string): boolean => where === out || where.startsWith(`${out}/`);

describe("a link", () => {
  it.each<[string, InputEntry[], string]>([
    ["absolute", [link("a", "/etc/passwd")], "a"],
    ["more ups than it lies deep", [link("d/a", "../../x")], "d/a"],
    ["up behind a link to here", [link("x", "."), link("a", "x/x/../../etc/passwd")], "a"],
    ["up behind a folder", [file("d/f"), link("a", "d/../../x")], "a"],
    [
      "through a link that leads up to the root",
      [directory("d"), link("d/l", ".."), link("secret", "d/l/../home/contexts.json")],
      "secret",
    ],
    ["through a chain of such links", [directory("a/b"), link("a/b/u", ".."), link("v", "a/b/u/.."), link("w", "v/../home")], "w"],
    // what is missing now may be a link of the next result in the same folder
    ["up behind what is not there yet", [link("a", "later/b/../../x")], "a"],
    ["up behind a file", [file("f"), link("a", "f/../x")], "a"],
    ["round and round", [link("a", "b"), link("b", "a")], "a"],
    ["through one that leads outside", [link("a", "/etc"), link("b", "a/passwd")], "b"],
    // node-tar: paths that collide on file systems that fold names (ß and ss), one of them a link
    [
      "through one that has a folder's name but for its case",
      [file("ss/f"), directory("d/e"), link("\u00DF", "d/e"), link("a", "\u00DF/../x")],
      "a",
    ],
    ["as a folder but for its case", [file("ss/f"), link("\u00DF", ".")], "\u00DF"],
  ])("is not made where it leads outside, alone or through others: %s", async (_, entries, refused) => {
    await mkdir(path.join(home, "home"));
    await writeFile(path.join(home, "home/contexts.json"), "the key");
    const skipped = await write(entries);
    expect(skipped).toContainEqual(expect.stringMatching(new RegExp(`^${refused}: a link`)));
    await expect(lstat(path.join(out, refused))).rejects.toThrow(/ENOENT/);
  });

  it("is made where it stays inside, through others too, and to what is not there", async () => {
    const links = [
      link("d/e/up", "../../top"),
      link("d/root", ".."),
      link("again", "d/root/d/e/f"),
      link("gone", "no/where"),
      link("l", "d/e"),
      link("over", "l/../e/f"),
    ];
    expect(await write([file("d/e/f", "f"), file("top", "t"), ...links])).toEqual([]);
    expect(await readFile(path.join(out, "d/e/up"), "utf8")).toBe("t");
    for (const at of ["again", "over"]) expect(await readFile(path.join(out, at), "utf8")).toBe("f");
    expect(await readlink(path.join(out, "gone"))).toBe("no/where");
  });

  it("through one that was here before is not made, wherever that leads", async () => {
    await mkdir(out);
    await symlink("..", path.join(out, "mine"));
    expect(await write([link("a", "mine/home")])).toEqual(["a: a link through one that was here before"]);
  });

  it("chain of many costs no more than its length, and ends as the kernel's does", async () => {
    const chain = Array.from({ length: 3_000 }, (_, i) => link(`l${i}`, `l${i + 1}`));
    const skipped = await write(chain);
    expect(skipped).toHaveLength(3_000 - 40);
    expect(skipped[0]).toBe("l0: a link through too many others");
  });

  it("of any tree of links leads nowhere outside, as the kernel goes", async () => {
    const places = ["", "d", "d/e", "l0", "d/l1", "d/e/l2", "l3"];
    const steps = ["..", ".", "d", "e", "l0", "l1", "l2", "l3", "x"];
    let seed = 7;
    const next = (below: number): number => (seed = (seed * 48_271) % 2_147_483_647) % below;
    let kept = 0;
    for (let round = 0; round < 40; round++) {
      const target = (): string => Array.from({ length: 1 + next(5) }, () => steps[next(steps.length)]).join("/");
      out = path.join(home, `round${round}`);
      await write([directory("d/e"), ...places.slice(3).map((at) => link(at, target()))]);
      for (const at of places.slice(3)) {
        const ends = await realpath(path.join(out, at)).catch(() => out);
        expect(inside(ends), `${at} ends at ${ends}`).toBe(true);
        kept += (await lstat(path.join(out, at)).catch(() => null)) ? 1 : 0;
      }
    }
    expect(kept).toBeGreaterThan(20);
  });
});

describe("nothing is written", () => {
  it("through a link that was here (podman cp resolved one in the host's eyes)", async () => {
    await mkdir(out);
    await symlink(home, path.join(out, "mine"));
    await expect(write([file("first"), file("mine/planted")])).rejects.toThrow(/through .*mine, which is no folder/);
    expect(await readdir(out)).toEqual(["mine"]);
    expect(await readdir(home)).toEqual(["out"]);
  });

  // tar-rs: a link and a file of one name; the file went through it
  it.each<[string, InputEntry[], RegExp]>([
    ["through a link of its own", [file("d/f"), link("l", "d"), file("l/planted")], /which is no folder/],
    ["through a file of its own", [file("l"), file("l/planted")], /which is no folder/],
    ["to a link of the same name", [link("l", "d"), file("l")], /names l twice/],
    [
      "of more folders than a result has",
      Array.from({ length: 100 }, (_, i) => file(`${i}/${"d/".repeat(1_100)}f`)),
      /more than 100000 folders/,
    ],
    ["twice", [file("a", "1"), file("a", "2")], /names a twice/],
  ])("by a tree that makes no sense: %s", async (_, entries, says) => {
    await expect(write(entries)).rejects.toThrow(says);
    expect(await readdir(out)).toEqual([]);
  });

  it("over what is here, be it file, link, folder or device; nothing else of the result is written then", async () => {
    await mkdir(path.join(out, "folder"), { recursive: true });
    await writeFile(path.join(home, "kept"), "kept");
    await symlink("../kept", path.join(out, "link"));
    await writeFile(path.join(out, "file"), "mine");
    execFileSync("mkfifo", [path.join(out, "pipe")]);
    for (const name of ["file", "link", "folder", "pipe"])
      await expect(write([file("new"), file(name, "theirs")])).rejects.toThrow(`holds something else by the name of ${name} already`);
    expect((await readdir(out)).sort()).toEqual(["file", "folder", "link", "pipe"]);
    expect(await readFile(path.join(home, "kept"), "utf8")).toBe("kept");
    // podman cp put a file in a folder's place
    expect((await stat(path.join(out, "folder"))).isDirectory()).toBe(true);
  });

  it("again where it lies already: the same result comes a second time", async () => {
    const entries = [file("d/f", "f"), link("d/l", "f"), directory("e")];
    expect(await write(entries)).toEqual([]);
    contents.clear();
    expect(await write(entries)).toEqual([]);
  });

  it("elsewhere when a folder is swapped for a link meanwhile (docker cp lost this race)", async () => {
    if (process.platform !== "linux") return;
    await mkdir(path.join(out, "d"), { recursive: true });
    const real = await RealFolders.open(out);
    const reached = await real.reach("d/f");
    await rename(path.join(out, "d"), path.join(out, "moved"));
    await symlink(home, path.join(out, "d"));
    await writeFile(reached, "x");
    await writeFile(await real.reach("d/g"), "x");
    await real.close();
    expect(await readdir(path.join(out, "moved"))).toEqual(["f", "g"]);
    expect(await readdir(home)).toEqual(["out"]);
  });

  it("where there is no room for all of it: nothing is fetched for it, and what to do is said", async () => {
    const asked: unknown[] = [];
    const room = async (where: string): Promise<number> => (asked.push(where), 9);
    const never = async (): Promise<never> => {
      throw new Error("it was fetched");
    };
    const large = [file("a", "five!"), file("b", "5 too")];
    const refused = writeTree(out, large, { fetch: never, room });
    await expect(refused).rejects.toThrow(`1 MiB came back, and ${out} has room for 0 MiB: nothing was written there. The result stays`);
    await expect(refused).rejects.not.toThrow(NotDelivered);
    expect([asked, await readdir(out)]).toEqual([[out], []]);
    await writeTree(out, large, { fetch, room: async () => 10 });
    // what lies here already takes no more room
    await writeTree(out, large, { fetch: never, room: async () => 0 });
    expect(await readdir(out)).toEqual(["a", "b"]);
  });

  it("half: a file that does not come leaves no part, and what is there is said", async () => {
    const missing: InputEntry = { path: "b", kind: "file", digest: "00".repeat(32), size: 1 };
    await expect(write([file("a"), missing, file("c")])).rejects.toThrow(`not here; 1 of 3 files and links of it are in ${out}`);
    await expect(write([file("a"), missing])).rejects.toThrow(NotDelivered);
    expect(await readdir(out)).toEqual(["a"]);
  });
});

describe("a name", () => {
  it("is written as far as this machine's paths go; the rest is named", async () => {
    out = path.join(home, "h".repeat(200));
    const deep = Array.from({ length: 16 }, (_, i) => Array.from({ length: i + 1 }, () => "d".repeat(250)).join("/"));
    const skipped = await write([...deep.map(directory), file(`${deep.at(-1)}/f`), file("last")]);
    expect(skipped.length).toBeGreaterThan(0);
    for (const line of skipped) expect(line).toContain("too long");
    expect(await readFile(path.join(out, "last"), "utf8")).toBe("x");
  });

  it("of more than 255 bytes, or with what a terminal would obey, is left out and spelt", async () => {
    expect(await write([file("n".repeat(300))])).toEqual([expect.stringMatching(/^n+\.\.\.: its name is too long/)]);
    const names = ["a\u001b[2J", "a\nb", "a\u0000b", "a\u009bK", "\u202Egnp.exe"];
    const skipped = await write([...names.map((name) => file(name)), file("d\r/f")]);
    expect(skipped).toHaveLength(6);
    for (const line of skipped) expect(line).toMatch(/^[ -~]+: its name holds control characters$/);
    expect(await readdir(out)).toEqual([]);
  });

  it("that a link leads to travels with slashes", () => {
    expect(sentTarget("..\\a\\b", true)).toBe("../a/b");
    expect(sentTarget("a\\b", false)).toBe("a\\b");
  });

  it("that means another place on Windows is left out there", () => {
    const streams = ["C:x", "a\\..\\b", "d/f:stream"];
    const devices = ["NUL", "d/con", "aux.txt", "COM1", "lpt¹.log", "nul/x", "CONIN$", "nul .txt"];
    for (const at of [...streams, ...devices, "a.", "a ", "d./f", "a?", "a*b", "a|b", 'a"b', "<a>"]) {
      expect(pathProblem(out, at, true)).toBe("its name means something else on this system");
      expect(pathProblem(out, at, false)).toBeNull();
    }
    for (const at of ["null", "console.log", "d/common", "com10", "a.nul", ".profile", "a b", "..a"])
      expect(pathProblem(out, at, true), at).toBeNull();
  });
});

describe("into the folder that was sent", () => {
  it("what came back as it was sent leaves what is here by now alone, in silence: this command's own output goes there", async () => {
    await mkdir(out, { recursive: true });
    for (const name of ["out.txt", "log"]) await writeFile(path.join(out, name), "");
    await symlink("out.txt", path.join(out, "link"));
    const before = await readTree(out);
    await writeFile(path.join(out, "out.txt"), "what the job printed");
    await rm(path.join(out, "link"));
    await symlink("log", path.join(out, "link"));
    expect(await writeTree(out, [file("out.txt", ""), file("log", "new"), link("link", "out.txt")], { fetch, before })).toEqual([]);
    expect(await readFile(path.join(out, "out.txt"), "utf8")).toBe("what the job printed");
    expect(await readFile(path.join(out, "log"), "utf8")).toBe("new");
    expect(await readlink(path.join(out, "link"))).toBe("log");
  });

  it("what still is as it was sent gives way, or goes; what changed here meanwhile stays and is named", async () => {
    await mkdir(path.join(out, "d"), { recursive: true });
    for (const name of ["same", "theirs", "both", "gone", "gone-mine", "d/gone"]) await writeFile(path.join(out, name), "old");
    await symlink("same", path.join(out, "link"));
    await symlink("/etc/hostname", path.join(out, "my-link"));
    const before = await readTree(out);
    await writeFile(path.join(out, "both"), "mine");
    await writeFile(path.join(out, "gone-mine"), "mine");
    const came = [
      file("same", "old"),
      file("theirs", "new"),
      file("both", "new"),
      link("link", "theirs"),
      link("my-link", "/etc/hostname"),
    ];
    const skipped = await writeTree(out, came, { fetch, before });
    expect(skipped).toEqual(["both: something else is here by now, and was left alone"]);
    expect((await readdir(out)).sort()).toEqual(["both", "gone-mine", "link", "my-link", "same", "theirs"]);
    expect(await readFile(path.join(out, "both"), "utf8")).toBe("mine");
    expect(await readFile(path.join(out, "link"), "utf8")).toBe("new");
  });
});

describe("a folder that goes", () => {
  it("says in words what cannot travel", async () => {
    await mkdir(out);
    await writeFile(Buffer.concat([Buffer.from(`${out}/`), Buffer.from([0x66, 0xff, 0x67])]), "x");
    await expect(readTree(out)).rejects.toThrow("no text in UTF-8");
  });
});

describe("where no link can be made", () => {
  const refuse = async (): Promise<never> => {
    throw Object.assign(new Error("EPERM: operation not permitted, symlink"), { code: "EPERM" });
  };

  it("the rest comes, and it is told what was left out and why", async () => {
    const leftOut = await writeTree(out, [file("f"), link("l", "f")], { fetch, makeLink: refuse });
    expect([leftOut, await readdir(out)]).toEqual([["l: a link, of which this file system has none"], ["f"]]);
    expect(noLinksHere(Object.assign(new Error(), { code: "EPERM" }), true)).toMatch(/Developer Mode/);
    expect(noLinksHere(Object.assign(new Error(), { code: "EISDIR" }), true)).toMatch(/this file system has none/);
  });

  it("one that was sent stays as it was, and any other error is one", async () => {
    await mkdir(out);
    await symlink("old", path.join(out, "l"));
    const before = await readTree(out);
    expect(await writeTree(out, [link("l", "new")], { fetch, before, makeLink: refuse })).toHaveLength(1);
    expect(await readlink(path.join(out, "l"))).toBe("old");
    expect(await writeTree(out, [link("l", "new")], { fetch, before })).toEqual([]);
    expect([await readlink(path.join(out, "l")), await readdir(out)]).toEqual(["new", ["l"]]);
    const full = async (): Promise<never> => {
      throw Object.assign(new Error("ENOSPC"), { code: "ENOSPC" });
    };
    await expect(writeTree(out, [link("other", "new")], { fetch, makeLink: full })).rejects.toThrow(/ENOSPC; 0 of 1 files/);
  });
});

// names that are one on macOS and Windows are one here by a hard link
describe("where two names are one", () => {
  const one = async (text: string): Promise<void> => {
    await mkdir(out);
    await writeFile(path.join(out, "Readme"), text);
    await hardLink(path.join(out, "Readme"), path.join(out, "README"));
  };

  it("what a job renamed is not removed by its old name", async () => {
    await one("text");
    const before = (await readTree(out)).filter(({ path: at }) => at === "Readme");
    expect(await writeTree(out, [file("README", "text")], { fetch, before })).toEqual([]);
    expect(await readFile(path.join(out, "README"), "utf8")).toBe("text");
    expect(await readdir(out)).toHaveLength(2);
  });

  it("the second is left out and told of, and what is nobody's stands in the way", async () => {
    await one("text");
    expect(await write([file("README", "text"), file("Readme", "other")])).toEqual([
      expect.stringMatching(/^Readme: this file system takes/),
    ]);
    await rm(out, { recursive: true });
    await one("nobody's");
    await expect(write([file("README", "text"), file("Readme", "other")])).rejects.toThrow(
      /holds something else by the name of README, Readme/,
    );
    await rm(path.join(out, "README"));
    await writeFile(path.join(out, "README"), "text");
    await expect(write([file("README", "text"), file("Readme", "other")])).rejects.toThrow(/holds something else by the name of Readme/);
  });
});
