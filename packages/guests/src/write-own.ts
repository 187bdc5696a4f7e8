import { renameSync, rmSync, writeFileSync } from "node:fs";
import { rename, rm, writeFile } from "node:fs/promises";

/** Writes a file of this program's own, whole or not at all: a full disk and a daemon that is killed leave what was there. */
export async function writeOwn(file: string, text: string): Promise<void> {
  const part = `${file}.part`;
  try {
    await writeFile(part, text, { mode: 0o600 });
    await rename(part, file);
  } catch (error) {
    await rm(part, { force: true });
    throw error;
  }
}

/** The same at once, of a few words that somebody waits for: threads that are begun beside a busy guest wait for their turn, each time. */
export function writeOwnAtOnce(file: string, text: string): void {
  const part = `${file}.part`;
  try {
    writeFileSync(part, text, { mode: 0o600 });
    renameSync(part, file);
  } catch (error) {
    rmSync(part, { force: true });
    throw error;
  }
}
