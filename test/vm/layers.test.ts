/** Layers as other programs write them, made into disks, and those disks read back by other programs: the same files come out. */
import { createHash } from "node:crypto";
import { mkdir, mkdtemp, open, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { Random } from "@xenoservers/testkit";
import { imageDisks } from "../../packages/guests/src/qemu/oci/image-disks.ts";
import { ImageTree, isThere, type Place } from "../../packages/guests/src/qemu/oci/image-tree.ts";
import { readTar, type TarEntry } from "@xenoservers/protocol/archive";
import { atOnce } from "../../packages/guests/src/qemu/oci/in-steps.ts";
import { ROOT } from "../../packages/guests/src/qemu/oci/overlay-disk.ts";
import { TAR_END, tarHeader } from "@xenoservers/protocol/archive/write";
import { Refusal } from "../../packages/guests/src/qemu/refusal.ts";
import { layoutOf, machines, run } from "./support.ts";

let folder: string;
let last = 0;
const fresh = (): string => path.join(folder, `f${++last}`);

/** Runs a script in a new folder. */
async function made(script: string): Promise<string> {
  const at = fresh();
  await mkdir(at);
  await run("bash", ["-euc", script], { cwd: at });
  return at;
}

interface Limits {
  bytesMax?: number;
  entriesMax?: number;
}

/** The disks of an image whose layers are these files, bottom first. */
async function disksOf(
  files: readonly string[],
  { bytesMax = 1e9, entriesMax = 100_000 }: Limits = {},
  cache = fresh(),
): Promise<string[]> {
  const layers = await Promise.all(
    files.map(async (file) => ({
      file,
      digest: createHash("sha256")
        .update(await readFile(file))
        .digest("hex"),
    })),
  );
  const disks: string[] = [];
  await imageDisks(
    { layers, bytesMax, entriesMax, textBytesMax: 64 * 1024 * 1024, work: fresh(), take: async (disk) => void disks.push(disk) },
    { folder: cache, bytesMax: 1e10 },
  );
  return disks;
}

const LIST = `find . -mindepth 1 -printf '%P\\t%y\\t%m\\t%U:%G\\t%n\\t%l\\t' \\( -type f -printf '%s %Ts ' -exec sh -c 'sha256sum < "$1"' sh {} \\; -o -printf '\\n' \\)`;

/** Everything below a folder: kind, mode, owner, names, target, size, time and content; folders' own times and names are not counted. */
async function listing(at: string): Promise<string[]> {
  const { stdout } = await run("sh", ["-c", LIST], { cwd: at, maxBuffer: 64 * 1024 * 1024 });
  return stdout
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => line.replace(/^(.*\td\t\d+\t\d+:\d+\t)\d+/, "$1-"))
    .sort();
}

/** What layers make together, as `listing` shows a folder. */
async function treeListing(files: readonly string[]): Promise<string[]> {
  const tree = new ImageTree();
  const handles = await Promise.all(files.map((file) => open(file, "r")));
  try {
    for (const [i, handle] of handles.entries()) {
      tree.group();
      const entries: TarEntry[] = [];
      for await (const entry of readTar(handle, (await handle.stat()).size)) entries.push(entry);
      atOnce(tree.applying(() => entries, i));
    }
    const lines: string[] = [];
    const walk = async (place: Place, at: string): Promise<void> => {
      for (const child of place.children?.values() ?? []) {
        const { kind, mode, uid, gid, target, size, mtime, layer, pieces, places } = child.inode;
        const links = child.children ? "-" : (places?.filter(isThere).length ?? 1);
        const text = Buffer.alloc(size);
        for (const piece of pieces) await handles[layer]?.read(text, piece.at, piece.length, piece.from);
        const content = kind === "file" ? `${size} ${mtime} ${createHash("sha256").update(text).digest("hex")}  -` : "";
        const letter = { file: "f", directory: "d", symlink: "l", fifo: "p", character: "c", block: "b" }[kind];
        lines.push([`${at}${child.name}`, letter, mode.toString(8), `${uid}:${gid}`, links, target, content].join("\t"));
        await walk(child, `${at}${child.name}/`);
      }
    };
    await walk(tree.root, "");
    return lines.sort();
  } finally {
    for (const handle of handles) await handle.close();
  }
}

/** A folder with what archives are known to be difficult about. */
const DIFFICULT = `
mkdir -p plain empty deep/$(printf 'd%.0s' {1..90})/$(printf 'e%.0s' {1..90})
echo text > plain/file; chmod 4751 plain/file; ln plain/file plain/second; ln -s ../plain/file empty/link; mkfifo plain/fifo
ln -s $(printf 't%.0s' {1..300}) plain/long-link
echo long > deep/$(printf 'd%.0s' {1..90})/$(printf 'e%.0s' {1..90})/$(printf 'f%.0s' {1..200})
ln deep/$(printf 'd%.0s' {1..90})/$(printf 'e%.0s' {1..90})/$(printf 'f%.0s' {1..200}) deep/short
printf x > "name with  spaces, $(printf '\\303\\244') and $(printf '\\377')"; printf y > $'new\\nline'; : > -dash
head -c 300000 /dev/urandom > big; touch -d @2000000000 big
truncate -s 5M holes; for i in 1 3 4; do printf data$i | dd of=holes bs=1M seek=$i conv=notrunc status=none; done
mkdir -m 700 closed; chmod 1777 empty; touch -d @1 plain
`;
const FORMATS: readonly [name: string, lacks: readonly string[], command: string][] = [
  ["GNU tar, gnu", [], "tar --format=gnu -cf out.tar -C root ."],
  ["GNU tar, gnu sparse", [], "tar --format=gnu -S -cf out.tar -C root ."],
  ["GNU tar, oldgnu", [], "tar --format=oldgnu -S -cf out.tar -C root ."],
  ["GNU tar, pax", [], "tar --format=pax --xattrs -cf out.tar -C root ."],
  ["GNU tar, pax sparse 0.0", [], "tar --format=pax -S --sparse-version=0.0 -cf out.tar -C root ."],
  ["GNU tar, pax sparse 0.1", [], "tar --format=pax -S --sparse-version=0.1 -cf out.tar -C root ."],
  ["GNU tar, pax sparse 1.0", [], "tar --format=pax -S --sparse-version=1.0 -cf out.tar -C root ."],
  ["GNU tar, with a label and every name twice", [], "tar --format=gnu -V label -cf out.tar -C root . ."],
  ["GNU tar, ustar", ["plain/long-link", "deep"], "tar --format=ustar --exclude=./plain/long-link --exclude=./deep -cf out.tar -C root ."],
  [
    "GNU tar, v7",
    ["plain/long-link", "plain/fifo", "deep"],
    "tar --format=v7 --exclude=./plain/long-link --exclude=./plain/fifo --exclude=./deep -cf out.tar -C root .",
  ],
  ["bsdtar, pax", [], "bsdtar --format=pax -cf out.tar -C root ."],
  ["bsdtar, gnutar", [], "bsdtar --format=gnutar -cf out.tar -C root ."],
  [
    "bsdtar, ustar",
    ["plain/long-link", "deep"],
    "bsdtar --format=ustar --exclude=./plain/long-link --exclude=./deep -cf out.tar -C root .",
  ],
  ["Python's tarfile", [], 'python3 -c \'import tarfile; t = tarfile.open("out.tar", "w"); t.add("root", "."); t.close()\''],
  ["GNU tar, packed by gzip in two members", [], "tar -cf t -C root .; { head -c 200000 t | gzip; tail -c +200001 t | gzip; } > out.tar"],
  [
    "GNU tar, packed by zstd in three frames",
    [],
    "tar -cf t -C root .; { head -c 99999 t | zstd; printf 'P*M\\x18\\x03\\0\\0\\0abc'; tail -c +100000 t | head -c 1 | zstd; tail -c +100001 t | zstd --ultra -20; } > out.tar",
  ],
  [
    "GNU tar, with nothing after the last entry",
    [],
    "tar -cf t -C root .; head -c $(tar -tRf t | sed -n 's/^block \\([0-9]*\\): \\*\\* Block of NULs.*/\\1/p' | awk '{print $1 * 512}') t > out.tar",
  ],
];

const FOLDERS = ["a", "b", "c"] as const;
const LEAVES = ["x", "y", "z"] as const;

/** A layer of a few entries, about the same few names. `files`: what earlier layers brought, for hard links; this one's join. */
function randomLayer(random: Random, files: string[]): Buffer {
  const one = <T>(from: readonly T[]): T => from[random.between(0, from.length - 1)] as T;
  const below = (least: number): string[] => Array.from({ length: random.between(least, 2) }, () => one(FOLDERS));
  const none = { uid: 0, gid: 0, mtime: 1, target: "", major: 0, minor: 0, size: 0, xattrs: [] };
  const parts: Buffer[] = [];
  const taken = new Set<string>();
  for (let i = random.between(2, 9); i > 0; i--) {
    const kind = random.between(0, 13);
    const isFolder = kind < 4 || kind > 11;
    const at = (isFolder ? below(1) : [...below(0), one(LEAVES)]).join("/");
    const hides = kind > 10;
    // engines disagree about a name that one layer both hides and brings
    if ([...taken].some((each) => hides && (each === at || each.startsWith(`${at}/`) || at.startsWith(`${each}/`))) || taken.has(`-${at}`))
      continue;
    taken.add(hides ? `-${at}` : at);
    const text = `${at} ${random.between(0, 99)}`;
    if (kind < 4) parts.push(tarHeader({ ...none, name: at, type: "5", mode: one([0o755, 0o700, 0o1777]) }));
    else if (kind < 7) {
      parts.push(tarHeader({ ...none, name: at, type: "0", mode: 0o644, size: text.length }), Buffer.from(text.padEnd(512, "\0")));
      files.push(at);
    } else if (kind < 9) {
      // now and then where a folder may be
      const place = random.between(0, 3) === 0 ? below(1).join("/") : at;
      const target = below(1).join("/");
      parts.push(tarHeader({ ...none, name: place, type: "2", mode: 0o777, target: one([target, `/${target}`, `../${target}`]) }));
    } else if (kind < 11 && files.length > 0) parts.push(tarHeader({ ...none, name: at, type: "1", mode: 0o644, target: one(files) }));
    else if (kind === 11)
      parts.push(tarHeader({ ...none, name: path.join(path.dirname(at), `.wh.${path.basename(at)}`), type: "0", mode: 0o644 }));
    else if (kind === 12) parts.push(tarHeader({ ...none, name: `${path.dirname(at)}/.wh.${path.basename(at)}`, type: "0", mode: 0o644 }));
    else if (kind === 13) parts.push(tarHeader({ ...none, name: `${at}/.wh..wh..opq`, type: "0", mode: 0o644 }));
  }
  return Buffer.concat([...parts, TAR_END]);
}

machines("layers", () => {
  beforeAll(async () => {
    folder = await mkdtemp(path.join(tmpdir(), "xeno-layers-"));
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  it.each(FORMATS)("as %s writes them", async (_, lacks, command) => {
    const at = await made(`mkdir root; cd root; ${DIFFICULT.replaceAll("\n", "; ").replace(/^; |; $/g, "")}; cd ..; ${command}`);
    for (const each of lacks) await rm(path.join(at, "root", each), { recursive: true });
    const [disk, ...more] = await disksOf([path.join(at, "out.tar")]);
    expect(more).toEqual([]);
    const out = fresh();
    await run("unsquashfs", ["-q", "-n", "-d", out, disk ?? ""]);
    expect(await listing(path.join(out, ROOT))).toEqual(await listing(path.join(at, "root")));
  });

  it("on top of each other as umoci unpacks them: 200 images of a fixed seed", async () => {
    const random = new Random(7);
    let same = 0;
    for (let i = 0; i < 200; i++) {
      const files: string[] = [];
      const names: string[] = [];
      for (let k = random.between(1, 4); k > 0; k--) {
        const file = fresh();
        await writeFile(file, randomLayer(random, names));
        files.push(file);
      }
      const layout = fresh();
      await layoutOf(layout, files);
      const bundle = fresh();
      const theirs = await run("umoci", ["unpack", "--image", `${layout}:image`, bundle]).then(
        () => null,
        (error: Error & { stderr: string }) => error.stderr,
      );
      const ours = await treeListing(files).catch((error: unknown) => error);
      if (!Array.isArray(ours)) expect(ours).toBeInstanceOf(Refusal);
      if (Array.isArray(ours) && theirs === null) {
        expect(ours, `image ${i}`).toEqual(await listing(path.join(bundle, "rootfs")));
        same++;
      }
      // umoci also refuses what GNU tar writes and engines take: a hard link to itself
      expect(Array.isArray(ours) || theirs !== null, `image ${i}: ${String(ours)}`).toBe(true);
      for (const each of [layout, bundle]) await rm(each, { recursive: true });
    }
    expect(same).toBeGreaterThan(80);
  });
});
