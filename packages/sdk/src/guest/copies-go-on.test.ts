/** A folder that changes while it is copied, or of which something cannot be read: that is named, and the rest comes (as with cp, scp and tar). */
import { execFileSync } from "node:child_process";
import { mkdir, mkdtemp, readFile, readdir, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { archiveOut } from "./archive-out.ts";
import { copyIn } from "./copy-in.ts";
import { copyOut } from "./copy-out.ts";
import { GuestRefusal, type GuestFiles } from "./files.ts";
import { ShellHere, hasPerl } from "./guest.fixture.ts";

const OPTIONS = { owners: false };
const here = new ShellHere();
let folder: string;
const at = (name: string): string => path.join(folder, name);
beforeEach(async () => void (folder = await mkdtemp(path.join(tmpdir(), "xeno-go-on-"))));
afterEach(async () => {
  here.end();
  await rm(folder, { recursive: true, force: true });
});

/** As a guest's or this machine's files change between a look and the next. */
const beforeFirst = (files: GuestFiles, method: "lookBehind" | "get", change: () => Promise<void>): GuestFiles => {
  let changed: Promise<void> | null = null;
  const first = async (...words: unknown[]): Promise<unknown> => {
    await (changed ??= change());
    return (files[method] as (...all: unknown[]) => Promise<unknown>).apply(files, words);
  };
  return new Proxy(files, {
    get: (of, name) => (name === method ? first : typeof of[name as "put"] === "function" ? of[name as "put"].bind(of) : of[name as "put"]),
  });
};

async function tree(): Promise<void> {
  await mkdir(at("from/sub"), { recursive: true });
  for (const [name, size] of [
    ["a", 10],
    ["b", 10],
    ["large", 2_000_000],
    ["medium", 100_000],
    ["z", 10],
  ] as const)
    await writeFile(at(`from/${name}`), "x".repeat(size));
  await symlink("a", at("from/link"));
  await writeFile(at("from/sub/inside"), "1");
}

describe.skipIf(!hasPerl)("a copy of a folder goes on", () => {
  it("into a guest without what went meanwhile, which it names", async () => {
    await tree();
    const gone = ["b", "large", "link", "medium"];
    const leftOut = await here.withFiles((files) =>
      copyIn(
        beforeFirst(files, "lookBehind", async () => {
          for (const name of gone) await rm(at(`from/${name}`));
        }),
        at("from"),
        at("to"),
        OPTIONS,
      ),
    );
    expect(leftOut.sort()).toEqual(gone.map((name) => `${name}: it went while it was copied`));
    expect((await readdir(at("to"))).sort()).toEqual(["a", "sub", "z"]);
    expect(await readFile(at("to/sub/inside"), "utf8")).toBe("1");
  });

  it("out of it in the same way", async () => {
    await tree();
    const gone = ["a", "b", "large", "medium"];
    const leftOut = await here.withFiles((files) =>
      copyOut(
        beforeFirst(files, "get", async () => {
          for (const name of gone) await rm(at(`from/${name}`));
        }),
        at("from"),
        at("to"),
        OPTIONS,
      ),
    );
    expect(leftOut.map((line) => line.replace(/^(\w+): .*: /, "$1: ")).sort()).toEqual(
      gone.map((name) => `${name}: No such file or directory`),
    );
    expect((await readdir(at("to"))).sort()).toEqual(["link", "sub", "z"]);
  });

  it("but what is named itself is all that was asked for", async () => {
    await writeFile(at("one"), "1");
    await expect(here.withFiles((files) => copyIn(files, at("none"), at("to"), OPTIONS))).rejects.toThrow("ENOENT");
    const gone = here.withFiles((files) =>
      copyOut(
        beforeFirst(files, "get", () => rm(at("one"))),
        at("one"),
        at("to"),
        OPTIONS,
      ),
    );
    await expect(gone).rejects.toThrow(GuestRefusal);
    expect(await readdir(folder)).toEqual([]);
  });

  it("both ways without what lies deeper than a path can say, which it names", async () => {
    await mkdir(at("from"));
    await writeFile(at("from/z"), "1");
    const script = 'for (1 .. 25) { mkdir "d" x 200; chdir "d" x 200 } open(F, ">", "file")';
    execFileSync("perl", ["-e", script], { cwd: at("from") });
    try {
      const into = await here.withFiles((files) => copyIn(files, at("from"), at("to"), OPTIONS));
      expect(into).toEqual([expect.stringMatching(/^d{200}\/[d/]+: it cannot be read \(ENAMETOOLONG: name too long\)$/)]);
      expect(await readFile(at("to/z"), "utf8")).toBe("1");
      const out = await here.withFiles((files) => copyOut(files, at("from"), at("back"), OPTIONS));
      expect(out).toEqual([expect.stringMatching(/^d{200}\/[d/]+: the guest cannot look at all of it: File name too long$/)]);
      expect(await readFile(at("back/z"), "utf8")).toBe("1");
    } finally {
      execFileSync("rm", ["-rf", at("from"), at("to"), at("back")]);
    }
  });

  it("out of it where the guest cannot look into a folder of it (a FUSE file system of somebody's)", async () => {
    const folderEntry = (name: string) => ({
      ...{ path: name, kind: "folder", mode: 0o755, uid: 0, gid: 0, size: 0, mtime: 1, target: "", isText: true },
    });
    await mkdir(at("top"));
    await writeFile(at("top/one"), "1");
    const list: GuestFiles["list"] = async (_, each, lost) => {
      each({ ...folderEntry("one"), kind: "file", size: 1 } as never);
      each(folderEntry("mount") as never);
      lost?.("mount", "Permission denied");
    };
    const withMount = (files: GuestFiles): GuestFiles =>
      new Proxy(files, { get: (of, name) => (name === "list" ? list : of[name as "put"].bind(of)) });
    const leftOut = await here.withFiles((files) => copyOut(withMount(files), at("top"), at("to"), OPTIONS));
    expect(leftOut).toEqual(["mount: the guest cannot look at all of it: Permission denied"]);
    expect((await readdir(at("to"))).sort()).toEqual(["mount", "one"]);
    const archived = await here.withFiles((files) => archiveOut(withMount(files), at("top"), async () => {}, OPTIONS));
    expect(archived).toEqual(leftOut);
  });

  it("and a guest's shell says of which folder it cannot look into, and lists the rest", async () => {
    await mkdir(at("top/a"), { recursive: true });
    await mkdir(at("top/z"));
    // below that path as it is asked for a name is too long for the kernel
    let deep = at("top/a");
    while (deep.length < 4_000) await mkdir((deep = path.join(deep, "d".repeat(Math.min(200, 4_050 - deep.length)))));
    const [names, lost] = [[] as string[], [] as string[]];
    const top = `${at("top")}${"/.".repeat(60)}`;
    await here.withFiles((files) =>
      files.list(
        top,
        ({ path: name }) => names.push(name),
        (name) => lost.push(name),
      ),
    );
    expect(names.at(-1)).toBe("z");
    expect(lost).toHaveLength(1);
    const silent = here.withFiles((files) => files.list(top, () => {}));
    await expect(silent).rejects.toThrow("File name too long");
  });

  it("a pipe that takes a file's place keeps nobody waiting, and one that became shorter is named", async () => {
    await tree();
    const leftOut = await here.withFiles((files) =>
      copyIn(
        beforeFirst(files, "lookBehind", async () => {
          for (const name of ["large", "z"]) await rm(at(`from/${name}`));
          execFileSync("mkfifo", [at("from/large"), at("from/z")]);
          await writeFile(at("from/a"), "");
        }),
        at("from"),
        at("to"),
        OPTIONS,
      ),
    );
    expect(leftOut.sort()).toEqual([
      "a: it became shorter while it was copied",
      "large: it became something else while it was copied",
      "z: it became something else while it was copied",
    ]);
    expect((await readdir(at("to"))).sort()).toEqual(["b", "link", "medium", "sub"]);
  });
});
