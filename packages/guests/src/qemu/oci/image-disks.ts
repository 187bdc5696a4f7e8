/**
 * The layers of an OCI image as read-only disks of a guest, bottom first. Nothing is unpacked on the host: archives are read by
 * memory-safe code (protocol/src/archive), put together as container engines do (image-tree.ts), and written as squashfs in a box. An
 * image of few layers has a disk for each, which other images share; one of many has several layers in each. Everything that a
 * stranger's bytes can be is looked at here, so that what fails after that is the host's. Who controls the inputs: the customer, every
 * byte of a layer.
 */
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { createWriteStream } from "node:fs";
import { access, mkdir, open, readFile, rename, rm, writeFile, type FileHandle } from "node:fs/promises";
import path from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { isRecord, parseOwn } from "../../json.ts";
import { cached, madeIn, touch, type Cache } from "../images/cache.ts";
import type { Command } from "../../command.ts";
import { uidOf } from "../machine/box.ts";
import { inOwnBox } from "../machine/own-box.ts";
import { giveToBox, makeVmFolder } from "../machine/vm.ts";
import type { TarEntry } from "@xenoservers/protocol/archive";
import { Refusal } from "../refusal.ts";
import { packingOfFile, unpack } from "./decompress.ts";
import { inTurn } from "./image-bounds.ts";
import { ImageTree } from "./image-tree.ts";
import { spread } from "./in-steps.ts";
import { archiveOf, contentOf, type DiskContent } from "./overlay-disk.ts";
import { layerEntries } from "./layer-entries.ts";
import { openIndex, writeIndex, type LayerIndex, type Weight } from "./layer-index.ts";

const MIB = 1024 * 1024;
const TIMEOUT_MS = 10 * 60_000;
/** Of the box that writes a file system; it is no lease's. */
const BUILDER = "00000001";
/** What it works with, and what its process has in all: it would take a quarter of the host's memory and every processor. */
const HELD_TO = ["-mem", "256M", "-processors", "2"] as const;
const WRITER_MIB = 1_024;
/** Each is a device of the guest, and takes memory of its kernel. */
const DISKS_MAX = 16;
const LAYERS_IN_A_DISK = 8;
/** Squashfs has one table of owners and groups. */
const IDS_MAX = 65_535;
/** Changes where the same layers are read as other entries, or other disks come of them. */
const FORM = 5;

interface Layer {
  digest: string;
  /** The host file with the layer's bytes, digest checked. */
  file: string;
}

interface ImageInput {
  layers: readonly Layer[];
  /** What the image may unpack to, and how many files it may hold, all layers together. */
  bytesMax: number;
  entriesMax: number;
  /** What their names, targets and attributes may take: they are held in memory while the image is put together. */
  textBytesMax: number;
  /** Of this machine alone, for what is only needed meanwhile; does not exist. */
  work: string;
  /** Aborted where nobody wants it any more: what is under way ends. */
  signal?: AbortSignal;
  /** Takes a disk into use, before the cache may let go of it. */
  take(file: string): Promise<void>;
}

/** Layers, by their indexes, that lie on one disk. */
function groupsOf(layers: number): number[][] {
  const size = layers <= DISKS_MAX ? 1 : LAYERS_IN_A_DISK;
  return Array.from({ length: Math.ceil(layers / size) }, (_, i) =>
    Array.from({ length: Math.min(size, layers - i * size) }, (__, k) => i * size + k),
  );
}

const tooLarge = ({ bytesMax }: ImageInput): Refusal =>
  new Refusal(
    "limits",
    `the image unpacks to more than ${Math.floor(bytesMax / MIB)} MiB, the disk that was ordered: order more with --disk`,
  );
const tooMany = ({ entriesMax, bytesMax }: ImageInput): Refusal =>
  new Refusal(
    "limits",
    `the image holds more than ${entriesMax} files, the room of a disk of ${Math.floor(bytesMax / MIB)} MiB: order more with --disk`,
  );

const tooMuchText = ({ textBytesMax }: ImageInput): Refusal =>
  new Refusal("bytes", `the names, links and attributes of the image's files take more than ${textBytesMax} bytes`);

const textOf = ({ name, target, xattrs }: TarEntry): number =>
  xattrs.reduce((sum, [key, value]) => sum + key.length + value.length, name.length + target.length);

/** The layers' archives, each unpacked at most once. */
class Archives {
  readonly #input: ImageInput;
  readonly #open = new Map<number, FileHandle>();

  constructor(input: ImageInput) {
    this.#input = input;
  }

  /** Throws Refusal where it is damaged or larger than `bytesMax`. */
  async at(index: number, bytesMax = Number.MAX_SAFE_INTEGER): Promise<FileHandle> {
    const before = this.#open.get(index);
    if (before) return before;
    const { file } = this.#layer(index);
    const packing = await packingOfFile(file);
    const archive = packing === "none" ? file : path.join(this.#input.work, `layer${index}`);
    const { signal } = this.#input;
    const work = path.join(this.#input.work, `unpacker${index}`);
    const bounds = { bytesMax, tooMuch: () => tooLarge(this.#input), work, ...(signal ? { signal } : {}) };
    if (packing !== "none") await unpack(file, packing, createWriteStream(archive, { mode: 0o600 }), bounds);
    const handle = await open(archive, "r");
    this.#open.set(index, handle);
    return handle;
  }

  #layer(index: number): Layer {
    const layer = this.#input.layers[index];
    if (!layer) throw new Error(`an image has no layer ${index}`);
    return layer;
  }

  /** Those that a disk takes data from. */
  async all(indexes: Iterable<number>): Promise<Map<number, FileHandle>> {
    const found = new Map<number, FileHandle>();
    for (const index of indexes) found.set(index, await this.at(index));
    return found;
  }

  async close(): Promise<void> {
    for (const handle of this.#open.values()) await handle.close();
  }
}

/** Entries within what of the image's bounds the layers before leave, and what they take together. */
async function* read(archive: FileHandle, input: ImageInput, left: Weight): AsyncGenerator<TarEntry, Weight> {
  const { size } = await archive.stat();
  if (size > left.bytes) throw tooLarge(input);
  const weight = { bytes: size, entries: 0, text: 0 };
  for await (const entry of layerEntries(archive, size)) {
    input.signal?.throwIfAborted();
    weight.entries += Math.max(1, entry.pieces.length);
    weight.bytes += entry.size - entry.pieces.reduce((sum, { length }) => sum + length, 0);
    weight.text += textOf(entry);
    if (weight.text > left.text) throw tooMuchText(input);
    if (weight.entries > left.entries) throw tooMany(input);
    if (weight.bytes > left.bytes) throw tooLarge(input);
    yield entry;
  }
  return weight;
}

/** A layer's refusal says which one it is. */
async function ofLayer<T>(index: number, { layers }: ImageInput, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    const which = `layer ${index + 1} of ${layers.length}, sha256:${layers[index]?.digest.slice(0, 12)}`;
    throw new Refusal(error.fault, `${error.message} (${which})`, { cause: error });
  }
}

/** What every layer holds, from before where it was read before. `found`: those that are open, also where it throws. */
async function openIndexes(input: ImageInput, archives: Archives, cache: Cache, found: LayerIndex[]): Promise<Weight> {
  const left: Weight = { bytes: input.bytesMax, entries: input.entriesMax, text: input.textBytesMax };
  for (const [i, { digest }] of input.layers.entries()) {
    const file = await cached(cache, `${digest}.${FORM}.entries`, (part) =>
      ofLayer(i, input, async () => writeIndex(part, read(await archives.at(i, left.bytes), input, left))),
    );
    const index = await openIndex(file);
    found.push(index);
    left.bytes -= index.bytes;
    left.entries -= index.entries;
    left.text -= index.text;
    if (left.bytes < 0) throw tooLarge(input);
    if (left.entries < 0) throw tooMany(input);
    if (left.text < 0) throw tooMuchText(input);
  }
  return { bytes: input.bytesMax - left.bytes, entries: input.entriesMax - left.entries, text: input.textBytesMax - left.text };
}

/** What the guest needs of its root before anything of the image runs (init/init.pl mounts them), as runc wants it. */
function checkRoot(tree: ImageTree): void {
  for (const name of ["proc", "sys", ".xeno"]) {
    const place = tree.find(name);
    if (place && !place.children) throw new Refusal("bytes", `the image has a /${name} that is no folder: it cannot be started`);
  }
  for (const name of ["dev", "etc"])
    if (tree.find(name) && !tree.leadsToFolder(name))
      throw new Refusal("bytes", `/${name} in the image neither is nor leads to a folder: it cannot be started`);
}

function checkOwners({ items }: DiskContent): void {
  const ids = new Set<number>();
  for (const { inode } of items) if (inode) ids.add(inode.uid).add(inode.gid);
  if (ids.size > IDS_MAX) throw new Refusal("bytes", `the image has files of more than ${IDS_MAX} owners and groups`);
}

/** Where the host's own disk is full it is the host's failure; else the bytes may have found a fault of the program. */
function writerFailed(code: number | null, said: string): Error {
  const last = said.trim().split("\n").at(-1) ?? "";
  if (code !== null && (!said.includes("FATAL ERROR") || /space|write/i.test(said)))
    return new Error(`a layer's disk could not be written: ${last}`);
  return new Refusal(
    "untold",
    `a layer could not be made into a disk: ${last === "" ? "the program that writes it was ended" : last.slice(0, 200)}`,
  );
}

/** Runs what writes a disk to its end, with the archive as its input. */
async function fed([program, ...args]: Command, from: Readable, signal?: AbortSignal): Promise<void> {
  // SIGKILL: unshare ignores what asks it to end, and takes its children along when it dies
  const called = signal ? { signal } : {};
  const bounds = { timeout: TIMEOUT_MS, killSignal: "SIGKILL", ...called } as const;
  const child = spawn(program, args, { stdio: ["pipe", "ignore", "pipe"], ...bounds, detached: true });
  child.stdin.on("error", () => {}); // also after the pipeline has let go of it: what was under way to a program that ended
  let said = "";
  child.stderr.on("data", (bytes: Buffer) => (said = (said + bytes.toString()).slice(-2_000)));
  const ended = new Promise<number | null>((resolve, reject) => child.once("close", resolve).once("error", reject));
  ended.catch(() => {}); // waited for below
  await pipeline(from, child.stdin, called).catch((error: NodeJS.ErrnoException) => {
    if (signal?.aborted === true) return; // its end says why, and is waited for
    if (error.syscall === "write" || error.code === "ERR_STREAM_PREMATURE_CLOSE") return; // the program ended: its own end says why
    child.kill("SIGKILL");
    throw error;
  });
  const code = await ended;
  if (code !== 0) throw writerFailed(code, said);
}

async function writeDisk(content: DiskContent, archives: Archives, input: ImageInput, part: string): Promise<void> {
  const folder = path.join(input.work, "writer");
  await rm(folder, { recursive: true, force: true });
  await makeVmFolder(folder);
  const box = path.join(folder, "box");
  const uid = uidOf(BUILDER);
  await giveToBox(box, uid);
  const words = ["sqfstar", "-comp", "lz4", "-no-progress", "-quiet", ...HELD_TO, "-mkfs-time", "0", "/w/disk"];
  const work = { folder: box, fileMibMax: Math.ceil(input.bytesMax / MIB) * 2 + 64, uid, memoryMib: WRITER_MIB };
  const from = Readable.from(archiveOf(content, await archives.all(content.layers)));
  await inOwnBox(work, words, (command) => fed(command, from, input.signal));
  await rename(path.join(box, "disk"), part);
}

const isThere = (file: string): Promise<boolean> =>
  access(file).then(
    () => true,
    () => false,
  );

/** What was made of an image before. */
interface Made {
  bytes: number;
  entries: number;
  disks: string[];
}

const isMade = (value: unknown): value is Made =>
  isRecord(value) &&
  typeof value["bytes"] === "number" &&
  typeof value["entries"] === "number" &&
  Array.isArray(value["disks"]) &&
  value["disks"].every((name) => typeof name === "string");

/** Whether all of it is there and taken. */
async function isThereWhole(file: string, input: ImageInput, cache: Cache): Promise<boolean> {
  const text = await readFile(file, "utf8").catch(() => null);
  if (text === null) return false;
  const { bytes, entries, disks } = parseOwn(file, text, isMade);
  if (bytes > input.bytesMax) throw tooLarge(input);
  if (entries > input.entriesMax) throw tooMany(input);
  const files = disks.map((name) => path.join(madeIn(cache), name));
  for (const each of files) if (!(await isThere(each))) return false;
  await Promise.all([file, ...files].map(touch));
  for (const each of files) await input.take(each);
  return true;
}

/** Puts the layers together and writes what they make; the disks' names. */
async function writeDisks(input: ImageInput, cache: Cache, archives: Archives, found: readonly LayerIndex[]): Promise<string[]> {
  const { layers, signal } = input;
  const digests = layers.map(({ digest }) => digest);
  const tree = new ImageTree();
  const disks: string[] = [];
  for (const group of groupsOf(layers.length)) {
    tree.group();
    for (const layer of group) {
      const steps = tree.applying(() => found[layer]?.read() ?? [], layer);
      await ofLayer(layer, input, () => spread(steps, signal));
    }
    const content = await spread(contentOf(tree, digests), signal);
    if (content.items.length === 0) continue; // nothing changed
    // a layer that comes again at once changes nothing, and a disk on top of itself is none to the kernel where it is one file
    if (`${content.digest}.sqfs` === disks.at(-1)) continue;
    checkOwners(content);
    const file = await cached(cache, `${content.digest}.sqfs`, (part) => writeDisk(content, archives, input, part));
    await input.take(file);
    disks.push(path.basename(file));
  }
  checkRoot(tree);
  return disks;
}

async function make(input: ImageInput, cache: Cache, archives: Archives): Promise<Made> {
  const found: LayerIndex[] = [];
  try {
    const { bytes, entries } = await openIndexes(input, archives, cache, found);
    return { bytes, entries, disks: await inTurn(entries, input.signal, () => writeDisks(input, cache, archives, found)) };
  } finally {
    for (const index of found) await index.close();
  }
}

/**
 * Takes the image's disks, bottom first; they are built once and kept. Throws Refusal where the image is at fault, or too large for what
 * was ordered.
 */
export async function imageDisks(input: ImageInput, cache: Cache): Promise<void> {
  const key = createHash("sha256").update(JSON.stringify([FORM, input.layers.map(({ digest }) => digest)]));
  const about = path.join(madeIn(cache), `${key.digest("hex")}.image`);
  if (await isThereWhole(about, input, cache)) return;
  const archives = new Archives(input);
  await mkdir(input.work, { recursive: true, mode: 0o700 });
  try {
    const made = await make(input, cache, archives);
    await rm(about, { force: true });
    await cached(cache, path.basename(about), (part) => writeFile(part, JSON.stringify(made), { mode: 0o600 }));
  } finally {
    await archives.close();
    await rm(input.work, { recursive: true, force: true });
  }
}
