/** A small file that is there whole, as it was or as it is now, whenever the machine goes down. */
import { open, rename } from "node:fs/promises";

export async function writeSynced(file: string, text: string): Promise<void> {
  const part = `${file}.part`;
  const handle = await open(part, "w", 0o600);
  try {
    await handle.writeFile(text);
    await handle.datasync();
  } finally {
    await handle.close();
  }
  await rename(part, file);
}
