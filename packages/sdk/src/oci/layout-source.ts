/** An image layout of this machine, whose blobs become files of their own. Who controls the inputs: whoever made it, every byte. */
import { copyIn, type ImageFiles } from "./image-files.ts";
import { LayoutManifests, fileOf, lacks } from "./layout.ts";
import type { Descriptor, OciSource } from "./source.ts";

export class Layout extends LayoutManifests implements OciSource {
  readonly #files: ImageFiles;

  constructor(files: ImageFiles, wanted: string | null) {
    super(files, wanted);
    this.#files = files;
  }

  async save({ digest }: Descriptor, file: string): Promise<void> {
    if (!(await copyIn(this.#files, fileOf(digest), file))) throw lacks(this.name, digest);
  }
}
