/**
 * An OCI image resolved: its digest, what it starts, and its layers, which are fetched when they are first needed and kept on this
 * machine. What no server could start is refused here. Who controls the inputs: the registry or the archive, every byte.
 */
import { layersProblem } from "@xenoservers/protocol";
import { z } from "zod";
import { layerOf, lazyBlob, type OciLayer } from "./layer.ts";
import { Layout, openArchive } from "./layout.ts";
import { parseReference } from "./reference.ts";
import { Registry } from "./registry.ts";
import { OciError, hashOf, type OciSource } from "./source.ts";

const zDigest = z.string().regex(/^sha256:[0-9a-f]{64}$/);
const zDescriptor = z.object({ mediaType: z.string().max(200).default(""), digest: zDigest, size: z.int().min(0) });
const zIndex = z.object({
  manifests: z.array(zDescriptor.extend({ platform: z.object({ os: z.string(), architecture: z.string() }).optional() })).max(1_000),
});
const zManifest = z.object({ config: zDescriptor, layers: z.array(zDescriptor).max(1_000) });
const zStrings = z.array(z.string()).nullish();
const zConfig = z.object({
  architecture: z.string().optional(),
  os: z.string().optional(),
  config: z
    .object({
      Entrypoint: zStrings,
      Cmd: zStrings,
      Env: zStrings,
      WorkingDir: z.string().nullish(),
      User: z.string().nullish(),
      StopSignal: z.string().nullish(),
    })
    .nullish(),
});

export type { OciLayer } from "./layer.ts";

interface ImageConfig {
  entrypoint: string[];
  command: string[];
  env: string[];
  workdir: string;
  user: string;
  /** As it is written: a name or a number; empty where there is none. */
  stopSignal: string;
}

export interface OciImage extends ImageConfig {
  /** Of the manifest for this platform. */
  digest: string;
  layers: OciLayer[];
  /** All layers together, which are brought here for it; null where this machine cannot tell. Throws OciError. */
  unpackedBytes(): Promise<number | null>;
}

const PLATFORM = { os: "linux", architecture: "amd64" } as const;
const INDEX_DEPTH_MAX = 3;
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

const jsonOf = (bytes: Uint8Array, name: string): unknown => parsed(z.unknown(), bytes, `the manifest of ${name}`);

/** The one for this platform. */
function chosenFrom({ manifests }: z.infer<typeof zIndex>, name: string): string {
  const fits = manifests.find(({ platform }) => platform?.os === PLATFORM.os && platform.architecture === PLATFORM.architecture);
  const [first] = manifests;
  const only = manifests.length === 1 && first && !first.platform ? first : undefined;
  const chosen = fits ?? only;
  if (chosen) return chosen.digest;
  const has = [
    ...new Set(
      manifests.flatMap(({ platform }) => (platform && platform.os !== "unknown" ? [`${platform.os}/${platform.architecture}`] : [])),
    ),
  ];
  throw new OciError(`${name} has no image for ${PLATFORM.os}/${PLATFORM.architecture}; it has ${has.join(", ") || "none at all"}`);
}

/** The manifest for this platform, from an index where there is one, or an index of indexes. */
export async function readManifest(source: OciSource): Promise<{ digest: string; manifest: z.infer<typeof zManifest> }> {
  let { bytes } = await source.manifest(null);
  for (let depth = 0; depth < INDEX_DEPTH_MAX; depth++) {
    const index = zIndex.safeParse(jsonOf(bytes, source.name));
    if (!index.success) break;
    ({ bytes } = await source.manifest(chosenFrom(index.data, source.name)));
  }
  if (z.object({ schemaVersion: z.literal(1) }).safeParse(jsonOf(bytes, source.name)).success)
    throw new OciError(`${source.name} is an image in Docker's first format, which registries have given up: push it anew`);
  return { digest: hashOf(bytes), manifest: parsed(zManifest, bytes, `the manifest of ${source.name}`) };
}

/** What an image starts and where it runs. Throws OciError, also where no server could. */
export function parseImageConfig(bytes: Uint8Array, name: string): ImageConfig {
  const { architecture, os, config } = parsed(zConfig, bytes, `the configuration of ${name}`);
  if ((os ?? PLATFORM.os) !== PLATFORM.os || (architecture ?? PLATFORM.architecture) !== PLATFORM.architecture)
    throw new OciError(`${name} is an image for ${os}/${architecture}; servers run ${PLATFORM.os}/${PLATFORM.architecture}`);
  return {
    entrypoint: config?.Entrypoint ?? [],
    command: config?.Cmd ?? [],
    // engines pass over what sets nothing
    env: (config?.Env ?? []).filter((each) => each.indexOf("=") > 0),
    workdir: config?.WorkingDir ?? "",
    user: config?.User ?? "",
    stopSignal: config?.StopSignal ?? "",
  };
}

async function configOf(source: OciSource, { digest, size }: z.infer<typeof zDescriptor>, cache: string): Promise<ImageConfig> {
  if (size > CONFIG_BYTES_MAX) throw new OciError(`the configuration of ${source.name} is larger than any is`);
  return parseImageConfig(await lazyBlob(source, { digest, size }, cache).read(0, size), source.name);
}

/** `cache`: where layers are kept. Throws OciError. */
export async function resolveImage(source: OciSource, cache: string): Promise<OciImage> {
  const { digest, manifest } = await readManifest(source);
  const config = await configOf(source, manifest.config, cache);
  if (manifest.layers.length === 0) throw new OciError(`${source.name} has no layers`);
  const problem = layersProblem(manifest.layers.length);
  if (problem !== null) throw new OciError(`${source.name}: ${problem}`);
  const layers = manifest.layers.map((layer) => layerOf(source, layer, compressionOf(layer.mediaType), cache));
  return {
    digest,
    ...config,
    layers,
    async unpackedBytes() {
      let sum = 0;
      for (const layer of layers) {
        const bytes = await layer.unpackedBytes();
        if (bytes === null) return null;
        sum += bytes;
      }
      return sum;
    },
  };
}

/** `oci:DIR[:NAME]`, `archive:FILE`, or a name in a registry. */
export async function openImage(text: string, cache: string): Promise<OciImage & { name: string }> {
  if (text.startsWith("oci:")) {
    const [, folder, tag] = /^oci:(.+?)(?::([\w.-]+))?$/.exec(text) ?? [];
    if (folder === undefined) throw new OciError(`${text} names no folder: write oci:DIR or oci:DIR:NAME`);
    return { ...(await resolveImage(new Layout(folder, tag ?? null), cache)), name: text };
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
