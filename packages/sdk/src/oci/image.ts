/**
 * An OCI image resolved: its digest, what it starts, and its layers, which are fetched when they are first needed and kept on this
 * machine. What no server could start is refused here. Who controls the inputs: the registry or the archive, every byte.
 */
import { jsonIn, layersProblem } from "@xenoservers/protocol";
import { systemTimers, type Timers } from "@xenoservers/protocol/link";
import { z } from "zod";
import { layerOf, lazyBlob, type OciLayer } from "./layer.ts";
import { isOnThisMachine, openHere } from "./on-this-machine.ts";
import { FirstThatHasIt } from "./first-that-has-it.ts";
import { pullSources } from "./pull-sources.ts";
import { readRegistriesConf } from "./registries-conf.ts";
import { Registry } from "./registry.ts";
import { OciError, hashOf, type OciSource } from "./source.ts";

const zDigest = z.string().regex(/^sha256:[0-9a-f]{64}$/);
const zDescriptor = z.object({ mediaType: z.string().max(200).default(""), digest: zDigest, size: z.int().min(0) });
const zIndex = z.object({
  manifests: z
    .array(
      zDescriptor.extend({ platform: z.object({ os: z.string(), architecture: z.string(), variant: z.string().nullish() }).optional() }),
    )
    .max(1_000),
});
/** Docker's first format. */
const zFirst = z.object({ schemaVersion: z.literal(1) });
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

const jsonOf = (bytes: Uint8Array): unknown => jsonIn(Buffer.from(bytes).toString("utf8"));

function parsed<T>(schema: z.ZodType<T>, bytes: Uint8Array, what: string): T {
  const read = schema.safeParse(jsonOf(bytes));
  if (!read.success) throw new OciError(`${what} is damaged`);
  return read.data;
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

/** The one for this platform. */
function chosenFrom({ manifests }: z.infer<typeof zIndex>, name: string): string {
  // images for newer processors of the kind (v2, v3) come after those for all of them
  const [fits] = manifests
    .filter(({ platform }) => platform?.os === PLATFORM.os && platform.architecture === PLATFORM.architecture)
    .sort((a, b) => (a.platform?.variant ?? "").localeCompare(b.platform?.variant ?? ""));
  const images = manifests.filter(({ platform }) => platform?.os !== "unknown");
  const [only] = images;
  const chosen = fits ?? (images.length === 1 && only && !only.platform ? only : undefined);
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
    const index = zIndex.safeParse(jsonOf(bytes));
    if (!index.success) break;
    ({ bytes } = await source.manifest(chosenFrom(index.data, source.name)));
  }
  if (zFirst.safeParse(jsonOf(bytes)).success)
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

/** `cache`: where layers are kept; `blobOf`: how the configuration comes there. Throws OciError. */
export async function resolveImage(source: OciSource, cache: string, blobOf = lazyBlob): Promise<OciImage> {
  const { digest, manifest } = await readManifest(source);
  const { size } = manifest.config;
  if (size > CONFIG_BYTES_MAX) throw new OciError(`the configuration of ${source.name} is larger than any is`);
  const config = parseImageConfig(await blobOf(source, manifest.config, cache).read(0, size), source.name);
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

/** What is told to whoever waits for an image. */
export interface ImageWatch {
  /** The layer under way (1 for the first), how many there are, what of it is here, and how large it is. */
  onLayer(at: { layer: number; of: number; bytes: number; size: number }): void;
  /** Why nothing comes, and how long for. */
  onWait(why: string, ms: number): void;
  /** Why the next place is asked that settings name. */
  onNext(why: string): void;
}

const nobody: ImageWatch = { onLayer() {}, onWait() {}, onNext() {} };

/** In passing, of a place that is not the last where the image may lie. */
const ELSEWHERE_MISHAPS_MAX = 2;

async function bringAll(layers: readonly OciLayer[], { onLayer }: ImageWatch): Promise<void> {
  for (const [i, layer] of layers.entries()) {
    if (await layer.isHere()) continue;
    const { size } = layer.blob;
    const told = (bytes: number): void => onLayer({ layer: i + 1, of: layers.length, bytes, size });
    told(0);
    await layer.bring(told);
  }
}

/**
 * A name in a registry, or an image that is files of this machine (`oci:DIR[:NAME]`, `archive:FILE[:NAME]`), with all its layers brought
 * here: once a lease is open, nobody waits for a registry. Throws OciError.
 */
export async function openImage(
  text: string,
  cache: string,
  watch = nobody,
  timers: Timers = systemTimers,
): Promise<OciImage & { name: string }> {
  if (isOnThisMachine(text)) {
    const { source, done } = await openHere(text);
    try {
      const image = await resolveImage(source, cache);
      await bringAll(image.layers, watch);
      return { ...image, name: text };
    } finally {
      await done();
    }
  }
  const candidates = pullSources(text, await readRegistriesConf());
  if (!candidates) throw new OciError(`'${text}' is no image: write NAME:TAG, HOST/NAME:TAG, oci:DIR or archive:FILE`);
  const places = candidates.flatMap(({ name, sources }) => sources.map((source) => ({ name, source })));
  const registries = places.map(({ source }, i) => {
    const isLast = i === places.length - 1;
    return new Registry(source, timers, watch.onWait, isLast ? undefined : ELSEWHERE_MISHAPS_MAX);
  });
  const first = new FirstThatHasIt(registries, watch.onNext);
  const image = await resolveImage(first, cache);
  await bringAll(image.layers, watch);
  return { ...image, name: places[first.at]?.name ?? text };
}
