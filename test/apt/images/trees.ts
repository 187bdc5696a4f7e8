/** The tree that an image makes: of ours, as a guest's kernel would show it (its disks, mounted one on top of the other), and of others. */
import { execFile } from "node:child_process";
import { copyFile, mkdir, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { promisify } from "node:util";
import { imageDisks } from "../../../packages/guests/src/qemu/oci/image-disks.ts";
import { ROOT } from "../../../packages/guests/src/qemu/oci/overlay-disk.ts";
import { digestOf, writeLayout, type Layer } from "./layout.ts";

export const run = promisify(execFile);

/** What list.py says of one name. */
export interface Line {
  path: string;
  kind: string;
  mode: string;
  owner: string;
  mtime: number;
  xattrs: Record<string, string>;
  size?: number;
  content?: string;
  target?: string;
  device?: string;
  same?: string;
}

/** A tree, or why there is none. */
export type Tree = { ok: true; lines: Line[] } | { ok: false; why: string };

export async function listed(root: string): Promise<Line[]> {
  const { stdout } = await run("python3", [path.join(import.meta.dirname, "list.py"), root], { maxBuffer: 1 << 30 });
  return stdout
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as Line);
}

export const LIMITS = { bytesMax: 2e9, entriesMax: 1_000_000, textBytesMax: 64 * 1024 * 1024 };

/** Ours, by every step that a server takes with an image. Throws Refusal. */
export async function ourTree(folder: string, layers: readonly Layer[], limits: Partial<typeof LIMITS> = {}): Promise<Line[]> {
  await mkdir(folder, { recursive: true });
  const files: { file: string; digest: string }[] = [];
  for (const [i, { tar, packed = tar }] of layers.entries()) {
    const file = path.join(folder, `blob${i}`);
    await writeFile(file, packed);
    files.push({ file, digest: digestOf(packed) });
  }
  const disks: string[] = [];
  const input = {
    layers: files,
    ...LIMITS,
    ...limits,
    work: path.join(folder, "work"),
    take: async (disk: string) => void disks.push(disk),
  };
  await imageDisks(input, { folder: path.join(folder, "cache"), bytesMax: 1e10 });
  return mounted(folder, disks);
}

/** Access lists lie in squashfs under names of ours; a guest's init puts them where they belong (test/vm/image-tree.test.ts). */
const asGuests = (xattrs: Line["xattrs"]): Line["xattrs"] =>
  Object.fromEntries(Object.entries(xattrs).map(([name, value]) => [name.replace(/^trusted\.xeno\.(?=posix_acl_)/, "system."), value]));

/** What the kernel shows of disks on top of each other, the first lowest. */
async function mounted(folder: string, disks: readonly string[]): Promise<Line[]> {
  const places: string[] = [];
  const mount = async (...words: string[]): Promise<void> => {
    const at = path.join(folder, `m${places.length}`);
    await mkdir(at);
    await run("mount", [...words, at]);
    places.push(at);
  };
  try {
    for (const [i, disk] of disks.entries()) {
      // to a guest each is a device of its own; here one file twice would be one
      const own = path.join(folder, `disk${i}`);
      await copyFile(disk, own);
      await mount("-t", "squashfs", "-o", "loop,ro", own);
    }
    // an overlay has two layers at least
    const empty = path.join(folder, "empty");
    await mkdir(empty);
    const roots = places.map((at) => path.join(at, ROOT)).reverse();
    const lower = disks.length > 1 ? roots : [...roots, empty];
    await mount("-t", "overlay", "overlay", "-o", `ro,lowerdir=${lower.join(":")}`);
    return (await listed(places.at(-1) ?? "")).map((line) => ({ ...line, xattrs: asGuests(line.xattrs) }));
  } finally {
    for (const at of places.reverse()) await run("umount", [at]);
  }
}

const WORDS_MAX = 400;
const saidBy = (error: unknown): string => {
  const { stderr = "" } = error as { stderr?: string };
  return stderr.trim().slice(-WORDS_MAX);
};

/** `podman pull` and `podman image mount`, in a store of its own. */
export async function podmanTree(folder: string, layers: readonly Layer[], driver: "vfs" | "overlay" = "vfs"): Promise<Tree> {
  const layout = path.join(folder, "layout");
  await writeLayout(layout, layers);
  const podman = async (...words: string[]): Promise<string> => {
    const store = ["--root", path.join(folder, "store"), "--runroot", path.join(folder, "run"), "--storage-driver", driver];
    return (await run("podman", [...store, ...words])).stdout.trim();
  };
  try {
    const id = await podman("pull", "-q", `oci:${layout}:image`);
    const lines = await listed(await podman("image", "mount", id));
    await podman("image", "umount", id);
    return { ok: true, lines };
  } catch (error) {
    return { ok: false, why: saidBy(error) };
  } finally {
    await podman("rmi", "-a", "-f").catch(() => {});
    await rm(folder, { recursive: true, force: true });
  }
}

export async function umociTree(folder: string, layers: readonly Layer[]): Promise<Tree> {
  const [layout, bundle] = [path.join(folder, "layout"), path.join(folder, "bundle")];
  await writeLayout(layout, layers);
  try {
    await run("umoci", ["unpack", "--image", `${layout}:image`, bundle]);
    return { ok: true, lines: await listed(path.join(bundle, "rootfs")) };
  } catch (error) {
    return { ok: false, why: saidBy(error) };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
