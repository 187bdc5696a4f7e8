/**
 * What a worker hands in: by files that the daemon made and opened for it before it ran. They are all that it can write, for it can
 * neither make a file nor open one to write: its filter of calls ends it (seccomp.ts), and its folder is mounted read-only. Each has its
 * place among the descriptors that the worker begins with. Who controls the inputs: the guest (contents, digests).
 */
import { LIMITS } from "@xenoservers/engine";
import { writeAll } from "./files.ts";
import { writeSync } from "./of-node.ts";

/** Files of the worker's folder by the order of their descriptors. */
export const HANDED_IN = [
  ...(["stdout", "stderr", "result.json", "prepared.wasm"] as const),
  /** Machine code of the module, as it was made by the end of the job. */
  "prepared.code",
  /** All that it keeps, one after the other: files by their digests. */
  "kept",
  /** Where each lies in there: its digest, offset and length. */
  "kept.index",
  /**
   * How far it is, by its length (PROGRESS). Written again and again while the guest's memory is hashed and its files are handed in:
   * whoever stops it waits as long as that goes on.
   */
  "progress",
] as const;
export type HandedIn = (typeof HANDED_IN)[number];

/** After standard input, output and error, which are the daemon's pipe and log. */
const FIRST_DESCRIPTOR = 3;
export type Descriptors = (file: HandedIn) => number;
export const descriptorOf: Descriptors = (file) => FIRST_DESCRIPTOR + HANDED_IN.indexOf(file);

/** It waits until then. */
export const PROGRESS = { begun: 1, handedIn: 2 } as const;

/**
 * What one job hands in. Each file is written by its place: the daemon empties them between two jobs of a process, and where a descriptor
 * stands stays with the process.
 */
export class HandIn {
  readonly #descriptors: Descriptors;
  readonly #ends = new Map<HandedIn, number>();

  constructor(descriptors = descriptorOf) {
    this.#descriptors = descriptors;
  }

  append(file: HandedIn, bytes: Uint8Array): void {
    const at = this.#ends.get(file) ?? 0;
    writeAll(this.#descriptors(file), bytes, at);
    this.#ends.set(file, at + bytes.length);
  }

  progress(far: keyof typeof PROGRESS): void {
    writeSync(this.#descriptors("progress"), Buffer.alloc(PROGRESS[far]), 0, PROGRESS[far], 0);
  }
}

const DIGEST_BYTES = 32;
/** Of one line of the index: a digest, and two whole numbers of eight bytes. */
const INDEX_ENTRY_BYTES = DIGEST_BYTES + 16;
export interface Place {
  at: number;
  size: number;
}

const indexed = (digest: string, { at, size }: Place): Uint8Array => {
  const entry = Buffer.alloc(INDEX_ENTRY_BYTES);
  entry.write(digest, "hex");
  entry.writeBigUInt64LE(BigInt(at), DIGEST_BYTES);
  entry.writeBigUInt64LE(BigInt(size), DIGEST_BYTES + 8);
  return entry;
};

/** Digests are told in hex. */
export function parseIndex(bytes: Uint8Array): Map<string, Place> {
  const index = new Map<string, Place>();
  for (let from = 0; from + INDEX_ENTRY_BYTES <= bytes.length; from += INDEX_ENTRY_BYTES) {
    const entry = Buffer.from(bytes.buffer, bytes.byteOffset + from, INDEX_ENTRY_BYTES);
    const [at, size] = [entry.readBigUInt64LE(DIGEST_BYTES), entry.readBigUInt64LE(DIGEST_BYTES + 8)].map(Number) as [number, number];
    if (Number.isSafeInteger(at + size)) index.set(entry.toString("hex", 0, DIGEST_BYTES), { at, size });
  }
  return index;
}

/** Of a trace: more than its pages are, whatever it may keep. A tree has as many entries as the engine's limits at most. */
const STATES_MAX = 200_000;
export const INDEX_BYTES_MAX = (STATES_MAX + LIMITS.ENTRIES_MAX) * INDEX_ENTRY_BYTES;

/** What is kept, each content once. */
export class Keeping {
  readonly #digests = new Set<string>();
  readonly #handing: HandIn;
  #end = 0;

  constructor(handing: HandIn) {
    this.#handing = handing;
  }

  /** Of a state, as long as there is room. */
  keepState(digest: string, bytes: Uint8Array): void {
    if (this.#digests.size < STATES_MAX) this.keep(digest, [bytes]);
  }

  keep(digest: string, chunks: Iterable<Uint8Array>): void {
    if (this.#digests.has(digest)) return;
    this.#digests.add(digest);
    const at = this.#end;
    for (const chunk of chunks) {
      this.#handing.append("kept", chunk);
      this.#end += chunk.length;
    }
    this.#handing.append("kept.index", indexed(digest, { at, size: this.#end - at }));
  }
}
