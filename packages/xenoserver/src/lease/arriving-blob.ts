/**
 * A blob while it comes, byte after byte from its start: hashed as it is written, so that whether it is right is known with its last byte
 * and it is read no second time. What is there of it already is read once. Who controls the inputs: the customer, every byte.
 */
import { createHash, type Hash } from "node:crypto";
import { mkdir, open, rm, type FileHandle } from "node:fs/promises";
import path from "node:path";
import { hashOf, hashedFiles } from "@xenoservers/guests";

export interface ArrivingBlob {
  /** So much of it is there. */
  readonly size: number;
  /** What comes next. */
  append(bytes: Uint8Array): Promise<void>;
  /** Whether what is there has its digest: else nothing stays of it. It is closed. */
  finish(): Promise<boolean>;
  /** What is there stays. */
  close(): Promise<void>;
}

async function opened(file: string, bytesMax: number): Promise<{ handle: FileHandle; size: number; hash: Hash }> {
  await mkdir(path.dirname(file), { recursive: true, mode: 0o700 });
  const there = await open(file, "r+").catch(() => null);
  if (there) {
    const { size } = await there.stat();
    if (size <= bytesMax) return { handle: there, size, hash: await hashOf(there) };
    await there.close();
  }
  return { handle: await open(file, "w", 0o600), size: 0, hash: createHash("sha256") };
}

/**
 * One of which all is there, whoever else has the file: it is read, where its bytes are not known, and never written to. Where it is wrong,
 * its lease has none of it.
 */
export function openWhole(file: string, digest: string, size: number): ArrivingBlob {
  return {
    size,
    append: () => Promise.reject(new Error(`all ${size} bytes of ${digest} are there already`)),
    async finish() {
      const isRight = (await hashedFiles.digestOf(file)) === digest;
      if (!isRight) await rm(file, { force: true });
      return isRight;
    },
    close: async () => {},
  };
}

/** Whether it failed for want of room. */
export const isFull = (error: unknown): boolean =>
  error instanceof Error && "code" in error && (error.code === "ENOSPC" || error.code === "EDQUOT");

/**
 * Goes on with what is there of it; a file that is longer than the blob is none of it. `makeRoom`: asked where the disk is full; false
 * where there is nothing to let go of.
 */
export async function openArriving(
  file: string,
  { digest, size: bytesMax }: { digest: string; size: number },
  makeRoom: () => Promise<boolean>,
): Promise<ArrivingBlob> {
  const { handle, hash, ...there } = await opened(file, bytesMax);
  let { size } = there;
  let isOpen = true;
  const close = async (): Promise<void> => {
    if (isOpen) await handle.close();
    isOpen = false;
  };
  return {
    get size() {
      return size;
    },
    async append(bytes) {
      hash.update(bytes);
      for (let written = 0; written < bytes.length;) {
        const { bytesWritten } = await handle.write(bytes, written, bytes.length - written, size).catch(async (error: unknown) => {
          if (isFull(error) && (await makeRoom())) return { bytesWritten: 0 };
          throw error;
        });
        written += bytesWritten;
        size += bytesWritten;
      }
    },
    async finish() {
      const isRight = hash.digest("hex") === digest;
      if (isRight) await hashedFiles.written(handle, digest);
      await close();
      if (!isRight) await rm(file, { force: true });
      return isRight;
    },
    close,
  };
}
