/**
 * Layers of OCI images as read-only disks: each becomes a squashfs whose whiteouts are those of overlayfs (OCI image spec, layer.md; kernel
 * Documentation/filesystems/overlayfs). Nothing is unpacked on the host: archives are read by memory-safe code, the file system is written in a box.
 * Who controls the inputs: the customer, every byte of a layer.
 */
import { spawn } from "node:child_process";
import { createReadStream } from "node:fs";
import { rename, rm } from "node:fs/promises";
import path from "node:path";
import { Transform, type Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createGunzip, createZstdDecompress } from "node:zlib";
import { extract, pack, type Headers } from "tar-stream";
import { OWN_BOX, boxed, uidOf } from "../machine/box.ts";
import { UNFINISHED, cached, type Cache } from "../images/cache.ts";
import { giveToBox, makeVmFolder } from "../machine/vm.ts";

export type Compression = "none" | "gzip" | "zstd";

/** The image's own fault, in words for its customer. */
export class ImageError extends Error {
  override name = "ImageError";
}

const WHITEOUT = ".wh.";
const OPAQUE = ".wh..wh..opq";
const ENTRIES_MAX = 1_000_000;
const MIB = 1024 * 1024;
const TIMEOUT_MS = 10 * 60_000;
/** Of the box that writes a file system; it is no lease's. */
const BUILDER = "00000001";

/** The library's types leave extended headers out. */
type Entry = Headers & { pax?: Record<string, string> };

const clean = (name: string): string => name.replace(/^(\.?\/)+/, "").replace(/\/+$/, "");

/** The entry as overlayfs wants it; null where it is left out. */
function translated(header: Headers): Entry | null {
  const name = clean(header.name);
  const parts = name.split("/");
  if (name === "" || name === ".") return null;
  if (parts.includes("..")) throw new ImageError(`a layer holds the path ${name.slice(0, 100)}, which leads outside`);
  const last = parts.at(-1)!;
  const folder = parts.slice(0, -1).join("/");
  if (last === OPAQUE)
    return folder === "" ? null : { ...header, name: folder, type: "directory", mode: 0o755, size: 0, pax: { "SCHILY.xattr.trusted.overlay.opaque": "y" } };
  if (last.startsWith(WHITEOUT))
    return {
      ...header,
      name: [...parts.slice(0, -1), last.slice(WHITEOUT.length)].join("/"),
      type: "character-device",
      devmajor: 0,
      devminor: 0,
      size: 0,
      mode: 0,
    };
  const { linkname } = header;
  return { ...header, name, ...(header.type === "link" && linkname ? { linkname: clean(linkname) } : {}) };
}

class Counted extends Transform {
  #left: number;
  readonly #what: string;
  constructor(most: number, what: string) {
    super();
    this.#left = most;
    this.#what = what;
  }
  override _transform(chunk: Buffer, _: string, done: (error?: Error | null, data?: Buffer) => void): void {
    this.#left -= chunk.length;
    done(this.#left < 0 ? new ImageError(this.#what) : null, chunk);
  }
}

function decompressed(file: string, compression: Compression, bytesMax: number): Readable {
  const source = createReadStream(file);
  const most = new Counted(bytesMax, `a layer unpacks to more than ${Math.floor(bytesMax / MIB)} MiB, the room that the lease has: order more with --disk`);
  const through = compression === "gzip" ? createGunzip() : compression === "zstd" ? createZstdDecompress() : null;
  void (through ? pipeline(source, through, most) : pipeline(source, most)).catch(() => {}); // whoever reads `most` sees the error
  return most;
}

/** The layer's entries, translated, into `to`, as far as it takes them. Throws ImageError where the archive is damaged. */
async function translate(from: Readable, to: NodeJS.WritableStream): Promise<void> {
  const reader = extract();
  const writer = pack();
  const out = pipeline(writer, to);
  let isTaken = true;
  out.catch((error: NodeJS.ErrnoException) => {
    if (error.syscall !== "write") return; // it was the layer that ended it
    isTaken = false;
    reader.destroy(error);
  });
  let count = 0;
  reader.on("entry", (header, stream, next) => {
    stream.on("error", () => {}); // the reader's own error says it
    let entry: Entry | null;
    try {
      if (++count > ENTRIES_MAX) throw new ImageError("a layer holds more than a million entries");
      entry = translated(header);
    } catch (error) {
      return void reader.destroy(error as Error);
    }
    if (!entry) {
      stream.on("end", next);
      return void stream.resume();
    }
    if (entry.size === undefined || entry.size === 0 || entry.type !== "file") {
      writer.entry(entry, () => next());
      return void stream.resume();
    }
    const copy = writer.entry(entry, (error) => next(error ?? undefined));
    copy.on("error", () => {}); // as above
    stream.pipe(copy);
  });
  try {
    await pipeline(from, reader);
    writer.finalize();
    await out;
  } catch (cause) {
    if (!isTaken) return;
    writer.destroy();
    await out.catch(() => {});
    throw cause instanceof ImageError ? cause : new ImageError(`a layer is damaged: ${(cause as Error).message}`);
  }
}

const sqfstar = [
  "sqfstar",
  "-comp",
  "lz4",
  "-no-progress",
  "-quiet",
  "-mkfs-time",
  "0",
  "-root-uid",
  "0",
  "-root-gid",
  "0",
  "-root-mode",
  "0755",
  "/w/layer",
] as const;

export interface LayerInput {
  digest: string;
  compression: Compression;
  /** The host file with the layer's bytes, digest checked. */
  file: string;
  bytesMax: number;
}

/** Built once per digest and kept; the file system's path. Throws ImageError where the layer is at fault. */
export function layerDisk({ digest, compression, file, bytesMax }: LayerInput, cache: Cache): Promise<string> {
  return cached(cache, `${digest}.sqfs`, async (part) => {
    const folder = `${part}.building${UNFINISHED}`;
    await makeVmFolder(folder);
    const box = path.join(folder, "box");
    try {
      await giveToBox(box, uidOf(BUILDER));
      const fileMibMax = Math.ceil(bytesMax / MIB) + 64;
      const [program, ...args] = await boxed({ ...OWN_BOX, folder: box, fileMibMax, uid: uidOf(BUILDER) }, sqfstar);
      const child = spawn(program!, args, { stdio: ["pipe", "ignore", "pipe"], timeout: TIMEOUT_MS, detached: true });
      child.stdin.on("error", () => {}); // also after the pipeline has let go of it: what was under way to a program that ended
      let said = "";
      child.stderr.on("data", (bytes: Buffer) => (said = (said + bytes.toString()).slice(-500)));
      const ended = new Promise<number | null>((resolve) => child.once("exit", resolve).once("error", () => resolve(null)));
      try {
        await translate(decompressed(file, compression, bytesMax), child.stdin);
      } catch (error) {
        child.kill("SIGKILL");
        throw error;
      }
      const code = await ended;
      if (code === null) throw new Error("the program that writes layers was ended");
      if (code !== 0) throw new ImageError(`a layer cannot be made into a disk: ${said.trim().split("\n").at(-1) ?? ""}`);
      await rename(path.join(box, "layer"), part);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });
}
