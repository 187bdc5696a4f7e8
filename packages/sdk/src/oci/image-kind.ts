/** What an image's files are, which they say themselves. Who controls the inputs: whoever made them, every byte. */
import { bytesIn, type ImageParts } from "./image-parts.ts";
import { INDEX, INDEX_BYTES_MAX } from "./layout.ts";
import { OciError } from "./source.ts";

const MANIFEST = "manifest.json";

/** `manifest`: what manifest.json holds. */
type ImageKind = { is: "docker" | "folder"; manifest: Uint8Array } | { is: "layout"; manifest: null };

/** Throws OciError. */
export async function kindOf(files: ImageParts): Promise<ImageKind> {
  const manifest = await bytesIn(files, MANIFEST, INDEX_BYTES_MAX);
  // what lists images by their files is `docker save`'s; where both stand, both are of the same images, but it alone is always whole
  if (manifest && new TextDecoder().decode(manifest).trimStart().startsWith("[")) return { is: "docker", manifest };
  if ((await files.size(INDEX)) !== null) return { is: "layout", manifest: null };
  if (manifest) return { is: "folder", manifest };
  if ((await files.size("repositories")) !== null)
    throw new OciError(`${files.name} is an archive of Docker's first format: save the image anew`);
  throw new OciError(`${files.name} is no OCI image layout: it has no ${INDEX}, nor a ${MANIFEST} of \`docker save\` or \`podman save\``);
}
