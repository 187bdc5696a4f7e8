/**
 * What `docker save` and `podman save` write: manifest.json names the images of an archive, and for each its configuration and its layers,
 * bottom first (moby, image/spec/v1.2). Nothing in it has a digest but what the configuration says of unpacked layers: the image's own is
 * that of the manifest which a registry would be given. Who controls the inputs: whoever made it, every byte.
 */
import { jsonIn, utf8 } from "@xenoservers/protocol";
import type { Packing } from "@xenoservers/protocol/packing";
import * as z from "zod/mini";
import { hashOf } from "./hash-like.ts";
import { bytesIn, type ImageParts } from "./image-parts.ts";
import { fitting, severalIn } from "./named-images.ts";
import { OciError, checkDigest, type Descriptor, type Manifests } from "./source.ts";

const CONFIG_BYTES_MAX = 8 * 1024 * 1024;
const LAYERS_MAX = 1_000;
const zImages = z
  .array(
    z.object({
      Config: z.string(),
      RepoTags: z.nullish(z.array(z.string())),
      Layers: z.nullish(z.array(z.string()).check(z.maxLength(LAYERS_MAX))),
    }),
  )
  .check(z.minLength(1));
const zConfig = z.object({ rootfs: z.nullish(z.object({ diff_ids: z.nullish(z.array(z.string())) })) });

const MANIFEST_TYPE = "application/vnd.docker.distribution.manifest.v2+json";
const CONFIG_TYPE = "application/vnd.docker.container.image.v1+json";
const LAYER_TYPES: Readonly<Record<Packing, string>> = {
  none: "application/vnd.docker.image.rootfs.diff.tar",
  gzip: "application/vnd.docker.image.rootfs.diff.tar.gzip",
  zstd: "application/vnd.docker.image.rootfs.diff.tar.zstd",
  // what has no type of its own is told by its bytes, as everywhere
  bzip2: "application/vnd.docker.image.rootfs.diff.tar",
  xz: "application/vnd.docker.image.rootfs.diff.tar",
};

interface Layer extends Descriptor {
  mediaType: string;
}

/**
 * What a layer that lies there is: its own digest, and that of what it unpacks to, by the hash by which that is stated; null: it is not
 * known here.
 */
export interface Measured {
  packing: Packing;
  stored: string;
  plain: string | null;
}

/** `unpacked`: what its configuration states. Throws OciError. */
type Measure = (layer: string, unpacked: string | undefined) => Promise<Measured>;

/** The manifest that a registry would be given. */
export class DockerManifests implements Manifests {
  readonly name: string;
  readonly #files: ImageParts;
  readonly #measure: Measure;
  readonly #wanted: string | null;
  readonly #manifest: string;
  /** Under which name each blob lies there, once it was looked at. */
  readonly #named = new Map<string, string>();
  #made: Promise<Uint8Array> | null = null;

  /** `manifest`: the text of manifest.json. */
  constructor(files: ImageParts, manifest: string, wanted: string | null, measure: Measure) {
    this.#measure = measure;
    this.#files = files;
    this.#manifest = manifest;
    this.#wanted = wanted;
    this.name = files.name;
  }

  async manifest(version: string | null): Promise<{ mediaType: string; bytes: Uint8Array }> {
    const bytes = await (this.#made ??= this.#make());
    if (version !== null) checkDigest(bytes, version, this.name);
    return { mediaType: MANIFEST_TYPE, bytes };
  }

  protected damaged(what: string): OciError {
    return new OciError(`${this.name} is no archive of an image: ${what}`);
  }

  #chosen(): { config: string; layers: readonly string[] } {
    const listed = zImages.safeParse(jsonIn(this.#manifest));
    if (!listed.success) throw this.damaged("its manifest.json is damaged");
    const all = listed.data.map(({ Config: config, RepoTags: tags, Layers: layers }) => ({
      config,
      names: tags ?? [],
      layers: layers ?? [],
    }));
    const images = fitting(all, this.#wanted, this.name);
    const [first] = images;
    if (!first || images.length > 1) throw severalIn(this.#files, images);
    return first;
  }

  async #make(): Promise<Uint8Array> {
    const { config, layers } = this.#chosen();
    const configBytes = await bytesIn(this.#files, config, CONFIG_BYTES_MAX);
    if (configBytes === null) throw this.damaged("it lacks the configuration that it names");
    const about = zConfig.safeParse(jsonIn(new TextDecoder().decode(configBytes)));
    const unpacked = about.data?.rootfs?.diff_ids ?? [];
    if (unpacked.length !== layers.length)
      throw this.damaged(`it lists ${layers.length} layers, and its configuration states ${unpacked.length}`);
    const digest = hashOf(configBytes);
    this.#named.set(digest, config);
    const described: Layer[] = [];
    for (const [i, name] of layers.entries()) described.push(await this.#describe(name, unpacked[i]));
    const manifest = {
      ...{ schemaVersion: 2, mediaType: MANIFEST_TYPE },
      config: { mediaType: CONFIG_TYPE, size: configBytes.length, digest },
      layers: described,
    };
    return utf8(JSON.stringify(manifest));
  }

  /**
   * `unpacked`: the digest that the configuration states for the layer as a plain archive. Without it nothing would say what the layer is,
   * and any file of this machine could be named as one, and would be sent to a server.
   */
  async #describe(name: string, unpacked: string | undefined): Promise<Layer> {
    const size = await this.#files.size(name);
    if (size === null) throw this.damaged("it lacks a layer that it names");
    const { packing, stored: digest, plain } = await this.#measure(name, unpacked);
    if (plain !== null && plain !== unpacked)
      throw new OciError(`a layer of ${this.name} does not have the digest that its configuration states`);
    this.#named.set(digest, name);
    return { mediaType: LAYER_TYPES[packing], size, digest };
  }

  /** Under which name a blob lies there. Throws OciError. */
  protected nameOf({ digest }: Descriptor): string {
    const name = this.#named.get(digest);
    if (name === undefined) throw this.damaged("it lacks what it names");
    return name;
  }
}
