/**
 * One layer of an image: brought to this machine when somebody first reads it, and kept; what it unpacks to is counted then. Who controls
 * the inputs: the registry or the archive, every byte: nothing counts that does not hash to what names it.
 */
import { createReadStream } from "node:fs";
import { access, mkdir, open, readFile, rename, rm, stat, utimes, writeFile } from "node:fs/promises";
import path from "node:path";
import { Writable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { ifThere, namesIn } from "@xenoservers/protocol/files";
import { PACKING_BYTES, isDamage, packingOf, type Packing, type ProgramPacking } from "@xenoservers/protocol/unpack";
import { roomIn } from "../room.ts";
import type { Blob } from "../blob.ts";
import { fileBlob, readAt } from "../tree.ts";
import { OciError, type Descriptor, type OnBytes, type OciSource } from "./source.ts";
import { unpackersHere } from "./unpackers-here.ts";

/** What a type can name. */
type TypedPacking = Exclude<Packing, ProgramPacking>;

export interface OciLayer {
  blob: Blob;
  /** As its type says; its bytes decide. */
  compression: TypedPacking;
  /** Whether it is on this machine. */
  isHere(): Promise<boolean>;
  /** Throws OciError where it cannot be had. */
  bring(onBytes: OnBytes): Promise<void>;
  /** Null where this machine cannot tell: the server will. Throws OciError where the bytes are no layer. */
  unpackedBytes(): Promise<number | null>;
}

const isThere = (file: string): Promise<boolean> =>
  access(file).then(
    () => true,
    () => false,
  );

/** Whether it is there; from now on it was used lately, so that who makes room leaves it. */
async function isUsed(file: string): Promise<boolean> {
  const now = new Date();
  return (await ifThere(utimes(file, now, now).then(() => true))) ?? false;
}

const MIB = 1024 * 1024;
const nobody: OnBytes = () => {};
const hexOf = (digest: string): string => digest.slice("sha256:".length);

const PART = ".part";

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error instanceof Error && "code" in error && error.code === "EPERM";
  }
}

/** What a process that was ended had of the blob, of which a registry gives the rest; what it is, the digest says in the end. */
async function takeOver(cache: string, hex: string, part: string): Promise<void> {
  for (const name of await namesIn(cache)) {
    const pid = name.startsWith(`${hex}.`) && name.endsWith(PART) ? Number(name.split(".")[1]) : Number.NaN;
    // another process may take it at the same time
    if (pid > 0 && pid !== process.pid && !isRunning(pid)) await ifThere(rename(path.join(cache, name), part));
  }
}

/** The blob's file in `cache`, its digest checked. */
async function bring(source: OciSource, blob: Descriptor, cache: string, onBytes = nobody): Promise<string> {
  const { digest } = blob;
  const file = path.join(cache, hexOf(digest));
  if (await isUsed(file)) return file;
  await mkdir(cache, { recursive: true, mode: 0o700 });
  const part = `${file}.${process.pid}${PART}`;
  await takeOver(cache, hexOf(digest), part);
  const toCome = blob.size - ((await ifThere(stat(part)))?.size ?? 0);
  if (toCome > (await roomIn(cache)))
    throw new OciError(`a layer of ${source.name} has ${Math.ceil(blob.size / MIB)} MiB, for which there is no room in ${cache}`);
  try {
    await source.save(blob, part, onBytes);
    const { digest: found, size } = await fileBlob(part);
    if (found !== hexOf(digest)) throw new OciError(`a layer of ${source.name} does not have the digest that its manifest states`);
    if (size !== blob.size)
      throw new OciError(`a layer of ${source.name} has ${size} bytes, where its manifest says ${blob.size}: push it anew`);
    await rename(part, file);
    return file;
  } finally {
    await rm(part, { force: true });
  }
}

/** A blob that is brought to this machine when somebody first reads it. */
export function lazyBlob(source: OciSource, descriptor: Descriptor, cache: string): Blob {
  let file: Promise<string> | null = null;
  const { digest, size } = descriptor;
  return {
    digest: hexOf(digest),
    size,
    read: async (offset, length) => readAt(await (file ??= bring(source, descriptor, cache)), size)(offset, length),
  };
}

async function startOf(file: string): Promise<Uint8Array> {
  const handle = await open(file, "r");
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(PACKING_BYTES), 0, PACKING_BYTES, 0);
    return buffer.subarray(0, bytesRead);
  } finally {
    await handle.close();
  }
}

async function measured(file: string, source: OciSource): Promise<number | null> {
  const found = packingOf(await startOf(file));
  if (!found.ok) throw new OciError(`${source.name}: ${found.why}`);
  const through = await unpackersHere(found.packing);
  if (!through) return null;
  let bytes = 0;
  const count = new Writable({
    write(chunk: Buffer, _, done) {
      bytes += chunk.length;
      done();
    },
  });
  await pipeline([createReadStream(file), ...through, count]).catch((cause: unknown) => {
    throw isDamage(cause) ? new OciError(`a layer of ${source.name} is damaged: ${cause.message}`, { cause }) : cause;
  });
  return bytes;
}

const UNPACKED = ".unpacked";

export function layerOf(source: OciSource, descriptor: Descriptor, compression: TypedPacking, cache: string): OciLayer {
  return {
    ...{ blob: lazyBlob(source, descriptor, cache), compression },
    isHere: () => isThere(path.join(cache, hexOf(descriptor.digest))),
    async bring(onBytes) {
      await bring(source, descriptor, cache, onBytes);
    },
    async unpackedBytes() {
      const note = path.join(cache, `${hexOf(descriptor.digest)}${UNPACKED}`);
      const known = await readFile(note, "utf8").catch(() => null);
      if (known !== null && /^\d+$/.test(known)) return Number(known);
      const bytes = await measured(await bring(source, descriptor, cache), source);
      if (bytes !== null) await writeFile(note, String(bytes), { mode: 0o600 });
      return bytes;
    },
  };
}
