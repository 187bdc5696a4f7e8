/** The bytes of a module that is to run on this machine, not read where their digest is known. Who controls the inputs: whoever types. */
import { fileBlob, readAt, type Blob } from "@xenoservers/sdk";
import { digests } from "./local-module.ts";

/** Of the file that was typed. */
export async function blobOf(file: string): Promise<Blob> {
  const known = await digests.find(file).catch(() => null);
  return known ? { ...known, read: readAt(file, known.size), isReadAnew: true } : digests.learn(file, (each) => fileBlob(each));
}
