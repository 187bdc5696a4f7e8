/**
 * Parsers whose work is mostly that of the file system are played in memory, and as they are used, in files, by every so many of the inputs:
 * both must agree.
 */
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { crc32 } from "node:zlib";

const ONE_IN = 64;

/** Whether this input is one of those that are played in files as well; always the same of the same bytes. */
export const isForFiles = (input: Uint8Array): boolean => crc32(input) % ONE_IN === 0;

let made: string | null = null;
/** A folder of this thread's own. */
export const playFolder = (): string => (made ??= mkdtempSync(path.join(tmpdir(), "played-")));
