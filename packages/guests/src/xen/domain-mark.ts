/** The mark of a server's domains, in a file that is made once. Who controls the inputs: the owner (the folder). */
import { randomUUID } from "node:crypto";
import { mkdir, readFile } from "node:fs/promises";
import path from "node:path";
import { writeOwn } from "../write-own.ts";

const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** Throws where what is there is no mark: one that is empty would be another server's too. */
export async function markIn(folder: string): Promise<string> {
  const file = path.join(folder, "mark");
  const read = () => readFile(file, "utf8");
  const mark = await read().catch(async (error: NodeJS.ErrnoException) => {
    if (error.code !== "ENOENT") throw error;
    await mkdir(folder, { recursive: true, mode: 0o700 });
    await writeOwn(file, randomUUID());
    return read();
  });
  if (!UUID.test(mark)) throw new Error(`${file} is not what was written there: this server's domains cannot be known by it`);
  return mark;
}
