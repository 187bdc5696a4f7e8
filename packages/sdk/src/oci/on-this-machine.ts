/**
 * Images that are files: `oci:FOLDER`, `archive:FILE` and what skopeo and podman call them, each with `:NAME` behind it where it holds
 * several. What it is, its files say: people mix the words up, and engines have written both kinds into one archive.
 */
import { stat } from "node:fs/promises";
import { ifThere } from "@xenoservers/protocol/files";
import { DockerArchive } from "./docker-source.ts";
import { ImageFolder } from "./image-folder.ts";
import { openFiles, type ImageFiles } from "./image-files.ts";
import { kindOf } from "./image-kind.ts";
import { Layout } from "./layout-source.ts";
import { OciError, type OciSource } from "./source.ts";

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
  const { is, manifest } = await kindOf(files);
  if (is === "docker") return new DockerArchive(files, new TextDecoder().decode(manifest), wanted);
  return is === "layout" ? new Layout(files, wanted) : new ImageFolder(files, manifest);
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
