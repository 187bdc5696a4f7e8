/**
 * A folder as `skopeo copy … dir:FOLDER` and `podman save --format docker-dir` write it (containers-transports(5)): the manifest, and each
 * blob under its digest. Who controls the inputs: whoever made it, every byte.
 */
import { partsOf } from "./hash-like.ts";
import { copyIn, type ImageFiles } from "./image-files.ts";
import { bytesIn } from "./image-parts.ts";
import { INDEX_BYTES_MAX } from "./layout.ts";
import { OciError, checkDigest, type Descriptor, type OciSource } from "./source.ts";

export class ImageFolder implements OciSource {
  readonly name: string;
  readonly #files: ImageFiles;
  readonly #manifest: Uint8Array;

  /** `manifest`: what manifest.json holds. */
  constructor(files: ImageFiles, manifest: Uint8Array) {
    this.#files = files;
    this.#manifest = manifest;
    this.name = files.name;
  }

  async manifest(version: string | null): Promise<{ mediaType: string; bytes: Uint8Array }> {
    if (version === null) return { mediaType: "", bytes: this.#manifest };
    // of one platform, where all were copied
    const bytes = await bytesIn(this.#files, `${partsOf(version).hex}.manifest.json`, INDEX_BYTES_MAX);
    if (bytes === null) throw new OciError(`${this.name} lacks the manifest ${version.slice(0, 19)}`);
    return { mediaType: "", bytes: checkDigest(bytes, version, this.name) };
  }

  async save({ digest }: Descriptor, file: string): Promise<void> {
    if (!(await copyIn(this.#files, partsOf(digest).hex, file))) throw new OciError(`${this.name} lacks the blob ${digest.slice(0, 19)}`);
  }
}
