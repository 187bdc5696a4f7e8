/** Names that are bytes, and files of several names, between this machine and the shell that guests run, both ways and as archives: as GNU tar has them. */
import { spawnSync } from "node:child_process";
import { lstat, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { archiveIn } from "./archive-in.ts";
import { archiveOut } from "./archive-out.ts";
import { copyIn, type CopyProgress } from "./copy-in.ts";
import { copyOut } from "./copy-out.ts";
import type { GuestFiles } from "./files.ts";
import { hasPerl, ShellHere } from "./guest.fixture.ts";
import { takesBytes } from "./takes-bytes.ts";

const OPTIONS = { owners: false };
const here = new ShellHere();
let folder: string;
const at = (name: string): string => path.join(folder, name);
const sh = (script: string): string => {
  // bash reads its settings where it finds a socket there and no shell above it, as it takes that for rsh
  const { stdout, stderr, status } = spawnSync("bash", ["-euc", script], {
    cwd: folder,
    encoding: "latin1",
    stdio: ["ignore", "pipe", "pipe"],
  });
  expect([stderr, status]).toEqual(["", 0]);
  return stdout;
};
beforeEach(async () => void (folder = await mkdtemp(path.join(tmpdir(), "xeno-bytes-"))));
afterEach(async () => {
  here.end();
  await rm(folder, { recursive: true, force: true });
});

/** Every name with its kind, its bits, which of several names of one file it is, and what it holds or leads to. */
const ODD = String.raw`
mkdir -p from/$'d\xff'/deep from/plain
printf one > from/$'d\xff'/$'a\xfe'; printf two > from/$'d\xff'/$'a\xfd'
printf three > from/$'d\xff'/deep/$'\xe9t\xe9'
ln -s $'d\xff/a\xfe' from/$'l\xc3'; ln -s $'d\xff' from/folder
ln from/$'d\xff'/$'a\xfe' from/plain/one; ln from/plain/one from/$'z\xff'; ln from/$'d\xff'/deep/$'\xe9t\xe9' from/text
printf x > from/$(printf '\xff%.0s' {1..200})
head -c 1500000 /dev/zero | tr '\0' y > from/$'large\x80'; ln from/$'large\x80' from/later
chmod 750 from/$'d\xff'; find from -exec touch -h -d @1000000000 {} +`;
const treeOf = (name: string): string =>
  sh(
    `cd ${name}; find . -type l -printf '%P %m %l\\n' -o -printf '%P %y %m %n %T@\\n' | LC_ALL=C sort; find . -type f -exec md5sum {} + | LC_ALL=C sort -k2; find . -type f -printf '%i %P\\n' | LC_ALL=C sort -k2 | awk '!($1 in n) { n[$1] = ++i } { $1 = n[$1]; print }'`,
  );

type Way = (files: GuestFiles, from: string, to: string) => Promise<string[]>;
const throughTar: Way = async (files, from, to) => {
  const parts: Buffer[] = [];
  const leftOut = await archiveOut(files, `${from}/.`, async (bytes) => void parts.push(Buffer.from(bytes)), OPTIONS);
  await mkdir(to);
  await writeFile(at("archive.tar"), Buffer.concat(parts));
  sh("tar -xpf archive.tar -C to");
  return leftOut;
};
const fromTar: Way = async (files, from, to) => {
  sh(`tar -C ${from} -cf archive.tar .`);
  await mkdir(to);
  const { createReadStream } = await import("node:fs");
  return archiveIn(files, createReadStream(at("archive.tar")), to, OPTIONS);
};

describe.skipIf(!hasPerl || process.platform !== "linux")("names that are bytes, and files of several names", () => {
  it.each<[string, Way]>([
    ["out of a guest", (files, from, to) => copyOut(files, from, to, OPTIONS)],
    ["into a guest", (files, from, to) => copyIn(files, from, to, OPTIONS)],
    ["out of a guest as an archive", throughTar],
    ["into a guest from an archive", fromTar],
  ])("come %s as they are", async (_, copy) => {
    sh(ODD);
    expect(await here.withFiles((files) => copy(files, at("from"), at("to")))).toEqual([]);
    // what was found in a folder that was there keeps its time
    const tops = (text: string): string => text.replace(/^ d .*\n/m, "");
    expect(tops(treeOf("to"))).toBe(tops(treeOf("from")));
  });

  it("come again over what came before, in one file as well where they were several", async () => {
    sh(ODD);
    sh("mkdir -p to/plain; echo other > to/plain/one; echo more > to/text; ln to/text to/later");
    for (let i = 0; i < 2; i++) expect(await here.withFiles((files) => copyOut(files, `${at("from")}/.`, at("to"), OPTIONS))).toEqual([]);
    expect(sh("stat -c %h to/plain/one to/text to/later")).toBe("3\n2\n2\n");
    expect(sh("find to -name '.xeno*' | wc -l")).toBe("0\n");
  });

  it("are all of what is told of an archive in the end", async () => {
    sh("mkdir from; echo 12345 > from/a; ln from/a from/b; echo 1 > from/c");
    const told: number[][] = [];
    const onProgress = ({ bytes, bytesInAll }: CopyProgress): void => void told.push([bytes, bytesInAll ?? 0]);
    await here.withFiles((files) => archiveOut(files, at("from"), async () => {}, { ...OPTIONS, onProgress }));
    expect(told.at(-1)).toEqual([14, 14]);
  });

  it("whose first cannot be read comes by another that can", async () => {
    sh("mkdir from; echo 1 > from/a; ln from/a from/b; ln from/a from/c");
    const refusing = (files: GuestFiles): GuestFiles =>
      new Proxy(files, {
        get: (of, name) =>
          name === "get"
            ? (file: string, ...more: [number, never]) => of.get(file.endsWith("/a") ? `${file}/none` : file, ...more)
            : of[name as "put"].bind(of),
      });
    const leftOut = await here.withFiles((files) => copyOut(refusing(files), at("from"), at("to"), OPTIONS));
    expect(leftOut).toEqual([expect.stringMatching(/^a: /)]);
    expect(sh("cat to/b to/c")).toBe("1\n1\n");
  });

  it("are named when what came by itself before them is there: nobody else is in the folders meanwhile", async () => {
    sh("mkdir -p from/1 from/2; echo 1 > from/1/a; ln from/1/a from/1/b; echo 2 > from/2/a; ln from/2/a from/2/b");
    const seen: boolean[] = [];
    const isThere = (): Promise<boolean> =>
      lstat(at("to/2/b")).then(
        () => true,
        () => false,
      );
    const slow = (files: GuestFiles): GuestFiles =>
      new Proxy(files, {
        get: (of, name) =>
          name === "get"
            ? (file: string, offset: number, sink: Parameters<GuestFiles["get"]>[2]) => {
                if (file.endsWith("/1/a")) return of.get(`${file}/none`, offset, sink);
                if (!file.endsWith("/1/b")) return of.get(file, offset, sink);
                const whole = async (): Promise<void> => {
                  // so often that it would have been made meanwhile
                  for (let i = 0; i < 300 && !(await isThere()); i++);
                  seen.push(await isThere());
                  await sink.whole();
                };
                return of.get(file, offset, { ...sink, whole });
              }
            : of[name as "put"].bind(of),
      });
    const leftOut = await here.withFiles((files) => copyOut(slow(files), at("from"), at("to"), OPTIONS));
    expect([leftOut, seen]).toEqual([[expect.stringMatching(/^1\/a: /)], [false]]);
    expect(sh("cat to/1/b to/2/b; stat -c %h to/2/b")).toBe("1\n2\n2\n");
  });

  it("are brought into a folder whose own name is none, by the path that a list gave", async () => {
    sh(String.raw`mkdir -p from/$'d\xff' to; echo 1 > from/$'d\xff'/a; echo 2 > from/$'f\xff'`);
    for (const name of ["d\udcff", "f\udcff"])
      expect(await here.withFiles((files) => copyOut(files, path.join(at("from"), name), at("to"), OPTIONS))).toEqual([]);
    expect(sh(String.raw`cat to/$'d\xff'/a to/$'f\xff'; ls -A to | wc -l`)).toBe("1\n2\n2\n");
    await expect(here.withFiles((files) => copyOut(files, at("from/f\udcff"), at("to/d\udcff"), OPTIONS))).resolves.toEqual([]);
    expect(sh(String.raw`cat to/$'d\xff'/$'f\xff'`)).toBe("2\n");
  });

  it("are read by the path that a list gave", async () => {
    sh(ODD);
    const found = await here.withFiles(async (files) => {
      const paths: string[] = [];
      await files.list(at("from"), (entry) => void (entry.isText || paths.push(entry.path)));
      return Promise.all(paths.map((each) => files.look(path.posix.join(at("from"), each))));
    });
    expect(found.length).toBe(10);
    expect(found.every((each) => each !== null)).toBe(true);
  });

  it("are told of a folder that takes none", async () => {
    expect([await takesBytes(at("not/there")), await takesBytes("/proc")]).toEqual([true, false]);
    expect(sh("ls -A")).toBe("");
  });
});
