/**
 * The daemon's side of what a worker hands in (worker/handing.ts): makes and opens the files before the worker runs, and reads what came.
 * Who controls the inputs: every byte in them is the guest's, and may change as long as its process lives; where they lie is the daemon's.
 */
import { closeSync, constants, openSync } from "node:fs";
import { mkdir, open, writeFile } from "node:fs/promises";
import path from "node:path";
import type { OpenFile } from "./programs/program.ts";
import { readGuestFile, statGuestFile } from "./guest-files.ts";
import { HANDED_IN, INDEX_BYTES_MAX, PROGRESS, parseIndex, type HandedIn, type Place } from "./worker/handing.ts";

const { O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW } = constants;
const NO_BYTES = new Uint8Array(0);

/** In the order of their descriptors: made as they are opened. */
export const handInFiles = (folder: string): OpenFile[] =>
  HANDED_IN.map((name) => ({ file: path.join(folder, name), flags: O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode: 0o600 }));

/** The caller closes them once the process has its own. */
export function openHandIn(folder: string): number[] {
  const opened: number[] = [];
  try {
    for (const { file, flags, mode } of handInFiles(folder)) opened.push(openSync(file, flags, mode));
    return opened;
  } catch (error) {
    for (const fd of opened) closeSync(fd);
    throw error;
  }
}

/** Between two jobs of a process, which has them open: they are what they were when it began. Returns their names. */
export async function emptyHandIn(folder: string): Promise<readonly string[]> {
  for (const name of HANDED_IN) {
    const file = await open(path.join(folder, name), O_WRONLY | O_NOFOLLOW);
    await file.truncate(0).finally(() => file.close());
  }
  return HANDED_IN;
}

/** More than that of one job stays where it is, and its process takes no other. */
const APART_BYTES_MAX = 1024 * 1024;
const APART: readonly HandedIn[] = ["stdout", "stderr", "result.json", "kept", "kept.index", "progress"];

/** False where it is more than is copied for that. */
export function isSmall(folder: string): boolean {
  return APART.reduce((sum, name) => sum + (statGuestFile(folder, name)?.size ?? 0), 0) <= APART_BYTES_MAX;
}

/**
 * What one job handed in, for as long as anybody may ask for it: out of reach of the process, which goes on. It is whole once its progress
 * is there, which comes last.
 */
export async function setApart(folder: string, apart: string): Promise<void> {
  await mkdir(apart, { mode: 0o700 });
  for (const name of APART) await writeFile(path.join(apart, name), await readGuestFile(folder, name, 0, APART_BYTES_MAX), { mode: 0o600 });
}

export interface Progress {
  hasBegun: boolean;
  isHandedIn: boolean;
  /** When it last showed that it goes on; 0 before it ever did. */
  shownAtMs: number;
}

export function progressOf(folder: string): Progress {
  const stats = statGuestFile(folder, "progress" satisfies HandedIn);
  const size = stats?.size ?? 0;
  return { hasBegun: size >= PROGRESS.begun, isHandedIn: size >= PROGRESS.handedIn, shownAtMs: size > 0 ? (stats?.mtimeMs ?? 0) : 0 };
}

/** What a guest that has handed in kept, by digest. */
export class Kept {
  readonly #folder: string;
  #index: Promise<Map<string, Place>> | null = null;

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** Empty where there is none of it, or nothing at the offset. Nothing is kept before all is. */
  async read(digest: string, offset: number, length: number): Promise<Uint8Array> {
    if (!progressOf(this.#folder).isHandedIn) return NO_BYTES;
    this.#index ??= readGuestFile(this.#folder, "kept.index" satisfies HandedIn, 0, INDEX_BYTES_MAX).then(parseIndex);
    const place = (await this.#index).get(digest);
    if (place === undefined || offset >= place.size) return NO_BYTES;
    return readGuestFile(this.#folder, "kept" satisfies HandedIn, place.at + offset, Math.min(length, place.size - offset));
  }
}
