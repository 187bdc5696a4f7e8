/**
 * An OCI image layout (image-spec, image-layout.md), in a folder or an archive: `podman save --format oci-archive`, `skopeo copy`, and what
 * `docker save` has written since its version 25. Who controls the inputs: whoever made it, every byte.
 */
import { jsonIn, utf8 } from "@xenoservers/protocol";
import * as z from "zod/mini";
import { isDigest } from "./hash-like.ts";
import { bytesIn, type ImageParts } from "./image-parts.ts";
import { fitting, severalIn, type Named } from "./named-images.ts";
import { OciError, checkDigest, type Manifests } from "./source.ts";

export const INDEX = "index.json";
export const INDEX_BYTES_MAX = 8 * 1024 * 1024;
/** A tag, or what somebody called it when it was copied there; and the whole name, as containerd writes it. */
const NAMES = ["org.opencontainers.image.ref.name", "io.containerd.image.name"] as const;

const zIndex = z.object({
  manifests: z._default(
    z.array(
      z.object({
        digest: z.optional(z.unknown()),
        mediaType: z._default(z.string(), ""),
        size: z.optional(z.unknown()),
        annotations: z.nullish(z.record(z.string(), z.unknown())),
        platform: z.optional(z.unknown()),
      }),
    ),
    [],
  ),
});

const zImage = z.object({ config: z.object({ digest: z.string() }), layers: z.array(z.unknown()) });

interface InLayout extends Named {
  digest: string;
  mediaType: string;
  size: number;
  platform: unknown;
}

/** What an index of platforms says of what is no image, such as where one comes from. */
const zBesides = z.object({ os: z.literal("unknown") });

/** The images that stand in a layout's index.json, each once. Throws OciError. */
export function parseLayoutIndex(text: string, name: string): InLayout[] {
  const value = jsonIn(text);
  // what some builders write where there is one image for one platform
  if (zImage.safeParse(value).success)
    throw new OciError(`${name} is no OCI image layout: its ${INDEX} is an image's manifest, not a list of images`);
  const index = zIndex.safeParse(value);
  if (!index.success) throw new OciError(`${name} is no OCI image layout: its ${INDEX} is damaged`);
  const images = new Map<string, InLayout>();
  for (const { digest, mediaType, size, annotations, platform } of index.data.manifests) {
    if (!isDigest(digest)) continue;
    const names = NAMES.map((key) => annotations?.[key]).filter((each) => typeof each === "string");
    const before = images.get(digest)?.names ?? [];
    images.set(digest, {
      ...{ digest, mediaType, platform, size: typeof size === "number" ? size : 0 },
      names: [...new Set([...before, ...names])],
    });
  }
  const real = [...images.values()].filter(({ platform }) => !zBesides.safeParse(platform).success);
  if (real.length === 0) throw new OciError(`${name} holds no image that has a digest of sha256 or sha512`);
  return real;
}

/** Under which name a blob lies there. */
export const fileOf = (digest: string): string => `blobs/${digest.replace(":", "/")}`;

export const lacks = (name: string, digest: string): OciError => new OciError(`${name} lacks the blob ${digest.slice(0, 19)}`);

/** Its manifests. */
export class LayoutManifests implements Manifests {
  readonly name: string;
  readonly #files: ImageParts;
  readonly #wanted: string | null;

  constructor(files: ImageParts, wanted: string | null) {
    this.#files = files;
    this.#wanted = wanted;
    this.name = files.name;
  }

  async manifest(version: string | null): Promise<{ mediaType: string; bytes: Uint8Array }> {
    if (version !== null) return { mediaType: "", bytes: await this.#read(version) };
    const text = await bytesIn(this.#files, INDEX, INDEX_BYTES_MAX);
    if (text === null) throw new OciError(`${this.name} is no OCI image layout: it has no ${INDEX}`);
    const images = fitting(parseLayoutIndex(new TextDecoder().decode(text), this.name), this.#wanted, this.name);
    const [first] = images;
    if (first && images.length === 1) return { mediaType: first.mediaType, bytes: await this.#read(first.digest) };
    // one image for several platforms may stand there without an index of its own
    const isOne = images.every(({ platform }) => typeof platform === "object" && platform !== null);
    if (!isOne || new Set(images.flatMap(({ names }) => names)).size > 1) throw severalIn(this.#files, images);
    return { mediaType: "", bytes: utf8(JSON.stringify({ manifests: images })) };
  }

  async #read(digest: string): Promise<Uint8Array> {
    const bytes = await bytesIn(this.#files, fileOf(digest), INDEX_BYTES_MAX);
    if (bytes === null) throw lacks(this.name, digest);
    return checkDigest(bytes, digest, this.name);
  }
}
