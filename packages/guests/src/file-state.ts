/** How a file of this user's is known to be the one that was read: nothing is read again while it stays so. */
import { stat } from "node:fs/promises";

/** By so much a file's time may lie behind the clock's. */
const COARSE_MS = 20;

/** Path, bytes, time of the last change, and which file it is. */
export type FileState = readonly [file: string, size: number, mtimeMs: number, ino: number];

export const statesOf = (files: readonly string[]): Promise<FileState[]> =>
  Promise.all(
    files.map(async (file): Promise<FileState> => {
      const { size, mtimeMs, ino } = await stat(file);
      return [file, size, mtimeMs, ino];
    }),
  );

/** Whether one of them may have changed after this time without looking changed: what was read of it since then tells nothing. */
export const mayHaveChanged = (states: readonly FileState[], sinceMs: number): boolean =>
  states.some(([, , mtimeMs]) => mtimeMs >= sinceMs - COARSE_MS);
