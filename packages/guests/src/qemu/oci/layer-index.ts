/**
 * What a layer's archive holds, kept beside it as lines of JSON: written and read piece by piece, for a layer of a million entries is more
 * than one string or one turn of the event loop should hold. Who controls the inputs: the customer, every entry; the file is ours.
 */
import { readSync } from "node:fs";
import { open, type FileHandle } from "node:fs/promises";
import type { TarEntry } from "@xenoservers/protocol/archive";
import { isRecord, parseOwn } from "../../json.ts";

/** What all entries take together, of the bounds that an image has. */
export interface Weight {
  /** Unpacked, holes of files included. */
  bytes: number;
  /** Entries, and pieces of files beyond the first. */
  entries: number;
  /** Of names, targets and attributes. */
  text: number;
}

export interface LayerIndex extends Weight {
  /** Every entry, as often as it is asked for. */
  read(): Iterable<TarEntry>;
  close(): Promise<void>;
}

const LINES_BYTES = 256 * 1024;
/** Of the first line, which is written last. */
const HEAD_BYTES = 128;

const isWeight = (value: unknown): value is Weight =>
  isRecord(value) && ["bytes", "entries", "text"].every((name) => typeof value[name] === "number");

const headOf = (weight: Weight): string => `${JSON.stringify(weight).padEnd(HEAD_BYTES - 1)}\n`;

/** `entries` throws where the layer is refused; what it returns is said first in the file. */
export async function writeIndex(file: string, entries: AsyncGenerator<TarEntry, Weight>): Promise<void> {
  const handle = await open(file, "wx", 0o600);
  try {
    let at = HEAD_BYTES;
    let lines: string[] = [];
    let length = 0;
    const flush = async (): Promise<void> => {
      const bytes = Buffer.from(lines.join(""));
      await writeAll(handle, bytes, at);
      at += bytes.length;
      lines = [];
      length = 0;
    };
    let next = await entries.next();
    for (; next.done !== true; next = await entries.next()) {
      const line = `${JSON.stringify(next.value)}\n`;
      lines.push(line);
      length += line.length;
      if (length >= LINES_BYTES) await flush();
    }
    await flush();
    await writeAll(handle, Buffer.from(headOf(next.value)), 0);
  } finally {
    await handle.close();
  }
}

async function writeAll(handle: FileHandle, bytes: Buffer, at: number): Promise<void> {
  for (let done = 0; done < bytes.length;) done += (await handle.write(bytes, done, bytes.length - done, at + done)).bytesWritten;
}

/** It stays open, for a cache may let go of the file while a large image is put together. */
export async function openIndex(file: string): Promise<LayerIndex> {
  const handle = await open(file, "r");
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(HEAD_BYTES), 0, HEAD_BYTES, 0);
    const weight = parseOwn(file, buffer.toString("utf8", 0, bytesRead), isWeight);
    return { ...weight, read: () => entriesIn(handle.fd), close: () => handle.close() };
  } catch (cause) {
    await handle.close();
    throw cause;
  }
}

function* entriesIn(descriptor: number): Generator<TarEntry> {
  const bytes = Buffer.alloc(LINES_BYTES);
  let rest: Buffer = Buffer.alloc(0);
  for (
    let at = HEAD_BYTES, got = readSync(descriptor, bytes, 0, LINES_BYTES, at);
    got > 0;
    got = readSync(descriptor, bytes, 0, LINES_BYTES, at)
  ) {
    at += got;
    const whole = Buffer.concat([rest, bytes.subarray(0, got)]);
    const end = whole.lastIndexOf(10) + 1;
    rest = whole.subarray(end);
    for (const line of whole.toString("utf8", 0, end).split("\n")) if (line !== "") yield JSON.parse(line) as TarEntry;
  }
}
