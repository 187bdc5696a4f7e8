/** The digest of a file of this machine, by any hash that an image may name its parts by. */
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { partsOf } from "./hash-like.ts";

/** By the hash that `like` is of. */
export async function digestOfFile(file: string, like: string): Promise<string> {
  const { algorithm } = partsOf(like);
  const hash = createHash(algorithm);
  for await (const chunk of createReadStream(file)) hash.update(chunk);
  return `${algorithm}:${hash.digest("hex")}`;
}
