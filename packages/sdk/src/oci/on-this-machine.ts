/**
 * Images that are files: `oci:FOLDER`, `archive:FILE` and what skopeo and podman call them, each with `:NAME` behind it where it holds
 * several. What it is, its files say: people mix the words up, and engines have written both kinds into one archive.
 */
import { stat } from "node:fs/promises";
import { ifThere } from "@xenoservers/protocol/files";
import { DockerArchive } from "./docker-archive.ts";
import { ImageFolder } from "./image-folder.ts";
import { openFiles, bytesIn, type ImageFiles } from "./image-files.ts";
import { INDEX, INDEX_BYTES_MAX, Layout } from "./layout.ts";
import { OciError, type OciSource } from "./source.ts";

const MANIFEST = "manifest.json";
const TRANSPORT = /^(oci|oci-archive|docker-archive|archive|dir):(.*)$/s;

export const isOnThisMachine = (text: string): boolean => TRANSPORT.test(text);

/** Names and folders may hold colons: what is there ends where the longest path does that leads to something. */
async function placeIn(words: string): Promise<{ at: string; wanted: string | null }> {
  for (let end = words.length; end > 0; end = words.lastIndexOf(":", end - 1)) {
    const at = words.slice(0, end);
    if (await ifThere(stat(at))) return { at, wanted: end === words.length ? null : words.slice(end + 1) };
  }
  const [at = ""] = words.split(":");
  throw new OciError(at === "" ? `write the path of a file or folder behind the colon` : `there is no file and no folder ${at}`);
}

async function sourceIn(files: ImageFiles, wanted: string | null): Promise<OciSource> {
  const manifest = await bytesIn(files, MANIFEST, INDEX_BYTES_MAX);
  // what lists images by their files is `docker save`'s; where both stand, both are of the same images, but it alone is always whole
  const isList = manifest?.toString("utf8").trimStart().startsWith("[") === true;
  if (manifest && isList) return new DockerArchive(files, manifest.toString("utf8"), wanted);
  if ((await files.size(INDEX)) !== null) return new Layout(files, wanted);
  if (manifest) return new ImageFolder(files, manifest);
  if ((await files.size("repositories")) !== null)
    throw new OciError(`${files.name} is an archive of Docker's first format: save the image anew`);
  throw new OciError(`${files.name} is no OCI image layout: it has no ${INDEX}, nor a ${MANIFEST} of \`docker save\` or \`podman save\``);
}

/** `done` leaves nothing of it behind. Throws OciError. */
export async function openHere(text: string): Promise<{ source: OciSource; done(): Promise<void> }> {
  const { at, wanted } = await placeIn(TRANSPORT.exec(text)?.[2] ?? "");
  const { files, done } = await openFiles(at);
  try {
    return { source: await sourceIn(files, wanted === "" ? null : wanted), done };
  } catch (error) {
    await done();
    throw error;
  }
}
