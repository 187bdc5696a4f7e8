/**
 * What the archive's files have in common: packed lines one after the other, each read alone and compared with its digest in the database.
 * Who controls the inputs: whoever may write to the folder.
 */
import { createHash } from "node:crypto";
import { open, type FileHandle } from "node:fs/promises";
import { promisify } from "node:util";
import { gunzip, gzip } from "node:zlib";
import { ArchiveAway, type ArchivePlace } from "../store/archived.ts";

const [packed, unpacked] = [promisify(gzip), promisify(gunzip)];

export const packedLine = (value: unknown): Promise<Buffer> => packed(`${JSON.stringify(value)}\n`);
export const unpackedLine = async (bytes: Buffer, maxOutputLength: number): Promise<unknown> =>
  JSON.parse((await unpacked(bytes, { maxOutputLength })).toString());

export const digestOf = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");

/** As many of the bytes as there are. */
export async function bytesAt(handle: FileHandle, start: number, bytes: number): Promise<Buffer> {
  const { buffer, bytesRead } = await handle.read(Buffer.alloc(bytes), 0, bytes, start);
  return buffer.subarray(0, bytesRead);
}

/** Throws where this part is not what was written there; the database may keep the beginning of a digest only. */
export function asWritten(part: Buffer, { digest }: Pick<ArchivePlace, "digest">): Buffer {
  if (digestOf(part).slice(0, digest.length) !== digest) throw new Error("it is not what was written there");
  return part;
}

export function awayAt({ file, start }: Pick<ArchivePlace, "file" | "start">, cause: unknown): ArchiveAway {
  const why = cause instanceof Error ? cause.message : String(cause);
  return new ArchiveAway(`${file} of the archive cannot be read at ${start}: ${why}`, { cause });
}

/** A file that was just made is found again after a power cut. */
export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, "r");
  await handle.sync().finally(() => handle.close());
}
