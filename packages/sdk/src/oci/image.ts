/**
 * An OCI image resolved: its digest, what it starts, and its layers as blobs that are fetched when they are first needed and kept on this machine.
 * Who controls the inputs: the registry or the archive, every byte: nothing counts that does not hash to what names it.
 */
import { access, mkdir, rename, rm } from "node:fs/promises";
import path from "node:path";
import { z } from "zod";
import { fileBlob, readAt, type Blob } from "../tree.ts";
import { Layout, openArchive } from "./layout.ts";
import { parseReference } from "./reference.ts";
import { Registry } from "./registry.ts";
import { OciError, hashOf, type OciSource } from "./source.ts";

const zDigest = z.string().regex(/^sha256:[0-9a-f]{64}$/);
const zDescriptor = z.object({ mediaType: z.string().max(200).default(""), digest: zDigest, size: z.int().min(0) });
const zIndex = z.object({ manifests: z.array(zDescriptor.extend({ platform: z.object({ os: z.string(), architecture: z.string() }).optional() })).max(1_000) });
const zManifest = z.object({ config: zDescriptor, layers: z.array(zDescriptor).max(1_000) });
const zStrings = z.array(z.string()).nullish();
const zConfig = z.object({
  architecture: z.string().optional(),
  os: z.string().optional(),
  config: z.object({ Entrypoint: zStrings, Cmd: zStrings, Env: zStrings, WorkingDir: z.string().nullish(), User: z.string().nullish() }).nullish(),
});

export interface OciLayer {
  blob: Blob;
  compression: "none" | "gzip" | "zstd";
}

export interface OciImage {
  /** Of the manifest for this platform. */
  digest: string;
  entrypoint: string[];
  command: string[];
  env: string[];
  workdir: string;
  user: string;
  layers: OciLayer[];
}

const PLATFORM = { os: "linux", architecture: "amd64" } as const;
const CONFIG_BYTES_MAX = 8 * 1024 * 1024;

function parsed<T>(schema: z.ZodType<T>, bytes: Uint8Array, what: string): T {
  try {
    return schema.parse(JSON.parse(Buffer.from(bytes).toString("utf8")));
  } catch {
    throw new OciError(`${what} is damaged`);
  }
}

const COMPRESSIONS: readonly [RegExp, OciLayer["compression"]][] = [
  [/[+.]zstd$/, "zstd"],
  [/[+.](gzip|tar\.gzip)$/, "gzip"],
  [/[+.]tar$/, "none"],
];

function compressionOf(mediaType: string): OciLayer["compression"] {
  const found = COMPRESSIONS.find(([ends]) => ends.test(mediaType));
  if (!found) throw new OciError(`a layer of the kind ${mediaType.slice(0, 100)} is not known here`);
  return found[1];
}

/** A layer that is brought to this machine when somebody first reads it. */
function lazyBlob(source: OciSource, { digest, size }: z.infer<typeof zDescriptor>, cache: string): Blob {
  const hex = digest.slice("sha256:".length);
  const file = path.join(cache, hex);
  const bring = async (): Promise<Blob> => {
    const there = await access(file).then(
      () => true,
      () => false,
    );
    if (!there) {
      await mkdir(cache, { recursive: true, mode: 0o700 });
      const part = `${file}.${process.pid}.part`;
      try {
        await source.save(digest, size, part);
        const { digest: found } = await fileBlob(part);
        if (found !== hex) throw new OciError(`a layer of ${source.name} does not have the digest that its manifest states`);
        await rename(part, file);
      } finally {
        await rm(part, { force: true });
      }
    }
    return { digest: hex, size, read: readAt(file, size) };
  };
  let blob: Promise<Blob> | null = null;
  return { digest: hex, size, read: async (offset, length) => (await (blob ??= bring())).read(offset, length) };
}

/** The manifest for this platform, from an index where there is one. */
async function manifestOf(source: OciSource): Promise<{ digest: string; manifest: z.infer<typeof zManifest> }> {
  const first = await source.manifest(null);
  let { bytes } = first;
  const index = zIndex.safeParse(JSON.parse(Buffer.from(bytes).toString("utf8")));
  if (index.success) {
    const fits = index.data.manifests.find(({ platform }) => platform?.os === PLATFORM.os && platform.architecture === PLATFORM.architecture);
    const only = index.data.manifests.length === 1 && !index.data.manifests[0]!.platform ? index.data.manifests[0]! : undefined;
    const chosen = fits ?? only;
    if (!chosen) {
      const has = [
        ...new Set(index.data.manifests.flatMap(({ platform }) => (platform && platform.os !== "unknown" ? [`${platform.os}/${platform.architecture}`] : []))),
      ];
      throw new OciError(`${source.name} has no image for ${PLATFORM.os}/${PLATFORM.architecture}; it has ${has.join(", ") || "none at all"}`);
    }
    ({ bytes } = await source.manifest(chosen.digest));
  }
  return { digest: hashOf(bytes), manifest: parsed(zManifest, bytes, `the manifest of ${source.name}`) };
}

async function configOf(source: OciSource, { digest, size }: z.infer<typeof zDescriptor>, cache: string): Promise<z.infer<typeof zConfig>> {
  if (size > CONFIG_BYTES_MAX) throw new OciError(`the configuration of ${source.name} is larger than any is`);
  const bytes = await lazyBlob(source, { digest, size, mediaType: "" }, cache).read(0, size);
  return parsed(zConfig, bytes, `the configuration of ${source.name}`);
}

/** `cache`: where layers are kept. Throws OciError. */
export async function resolveImage(source: OciSource, cache: string): Promise<OciImage> {
  const { digest, manifest } = await manifestOf(source);
  const { architecture, os, config } = await configOf(source, manifest.config, cache);
  if ((os ?? PLATFORM.os) !== PLATFORM.os || (architecture ?? PLATFORM.architecture) !== PLATFORM.architecture)
    throw new OciError(`${source.name} is an image for ${os}/${architecture}; servers run ${PLATFORM.os}/${PLATFORM.architecture}`);
  if (manifest.layers.length === 0) throw new OciError(`${source.name} has no layers`);
  return {
    digest,
    entrypoint: config?.Entrypoint ?? [],
    command: config?.Cmd ?? [],
    env: config?.Env ?? [],
    workdir: config?.WorkingDir ?? "",
    user: config?.User ?? "",
    layers: manifest.layers.map((layer) => ({ blob: lazyBlob(source, layer, cache), compression: compressionOf(layer.mediaType) })),
  };
}

/** `oci:DIR[:NAME]`, `archive:FILE`, or a name in a registry. */
export async function openImage(text: string, cache: string): Promise<OciImage & { name: string }> {
  if (text.startsWith("oci:")) {
    const [, folder, tag] = /^oci:(.+?)(?::([\w.-]+))?$/.exec(text)!;
    return { ...(await resolveImage(new Layout(folder!, tag ?? null), cache)), name: text };
  }
  if (text.startsWith("archive:")) {
    const { source, done } = await openArchive(text.slice("archive:".length));
    try {
      const image = await resolveImage(source, cache);
      for (const { blob } of image.layers) await blob.read(0, 1); // brought out of the archive before it goes
      return { ...image, name: text };
    } finally {
      await done();
    }
  }
  const reference = parseReference(text);
  if (!reference) throw new OciError(`'${text}' is no image: write NAME:TAG, HOST/NAME:TAG, oci:DIR or archive:FILE`);
  const image = await resolveImage(new Registry(reference), cache);
  return { ...image, name: `${reference.registry}/${reference.repository}` };
}
