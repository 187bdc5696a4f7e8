/**
 * An OCI image resolved: its digest, what it starts, and its layers, which are fetched when they are first needed and kept on this
 * machine. What no server could start is refused here. Who controls the inputs: the registry or the archive, every byte.
 */
import path from "node:path";
import { jsonIn, layersProblem, visible } from "@xenoservers/protocol";
import { systemTimers, type Timers } from "@xenoservers/protocol/link";
import * as z from "zod/mini";
import { layerOf, lazyBlob, type OciLayer } from "./layer.ts";
import type { ImageWatch } from "./image-watch.ts";
import { isOnThisMachine, openHere } from "./on-this-machine.ts";
import { FirstThatHasIt } from "./first-that-has-it.ts";
import { pullSources } from "./pull-sources.ts";
import { isNameInCapitals } from "./reference.ts";
import { readRegistriesConf } from "./registries-conf.ts";
import { Registry } from "./registry.ts";
import { readManifest } from "./manifest.ts";
import { PLATFORM, isOurs } from "./platform.ts";
import { OciError, type OciSource } from "./source.ts";
import { WASM_PLATFORM, asModule } from "./wasm-in-registries.ts";

/** What says nothing is an empty word, to engines. */
const zStrings = z.nullish(
  z.array(
    z.pipe(
      z.nullable(z.string()),
      z.transform((word) => word ?? ""),
    ),
  ),
);
const zConfig = z.object({
  architecture: z.nullish(z.string()),
  os: z.nullish(z.string()),
  config: z.nullish(
    z.object({
      entrypoint: zStrings,
      cmd: zStrings,
      env: zStrings,
      workingdir: z.nullish(z.string()),
      volumes: z.nullish(z.record(z.string(), z.unknown())),
      user: z.nullish(z.string()),
      stopsignal: z.nullish(z.string()),
    }),
  ),
  rootfs: z.nullish(z.object({ diff_ids: zStrings })),
});

export type { OciLayer } from "./layer.ts";

interface ImageConfig {
  entrypoint: string[];
  command: string[];
  env: string[];
  workdir: string;
  /** Folders that are there when it starts, from the root. */
  volumes: string[];
  user: string;
  /** As it is written: a name or a number; empty where there is none. */
  stopSignal: string;
  /** Digests of what its layers unpack to, bottom first; empty where it states none. */
  unpacked: string[];
}

export interface OciImage extends Omit<ImageConfig, "unpacked"> {
  /** Of the manifest for this platform. */
  digest: string;
  layers: OciLayer[];
  /** All layers together, which are brought here for it; null where this machine cannot tell. Throws OciError. */
  unpackedBytes(): Promise<number | null>;
}

/** Of where a configuration is damaged. */
const AT_MAX = 80;
const CONFIG_BYTES_MAX = 8 * 1024 * 1024;

/** Engines find what they look for whatever the case of its name; the last that comes counts. */
function inSmallLetters(value: unknown, depth: number): unknown {
  if (depth === 0 || typeof value !== "object" || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [name.toLowerCase(), inSmallLetters(each, depth - 1)]));
}

const COMPRESSIONS: readonly [RegExp, OciLayer["compression"]][] = [
  [/[+.]zstd$/, "zstd"],
  [/[+.](gzip|tar\.gzip)$/, "gzip"],
];

/** Of a type that says nothing the bytes do, as of every other. */
function compressionOf(mediaType: string, name: string): OciLayer["compression"] {
  if (/[+]encrypted$/.test(mediaType))
    throw new OciError(`a layer of ${name} is encrypted, and no server has its key: push the image without`);
  return COMPRESSIONS.find(([ends]) => ends.test(mediaType))?.[1] ?? "none";
}

/** `ENTRYPOINT [""]` is how people take one away that an image was built on. */
const entrypointOf = (words: string[]): string[] => (words.length === 1 && words[0] === "" ? [] : words);

/** What an image starts and where it runs. Throws OciError, also where no server could. */
export function parseImageConfig(bytes: Uint8Array, name: string): ImageConfig {
  const read = zConfig.safeParse(inSmallLetters(jsonIn(Buffer.from(bytes).toString("utf8")), 2));
  if (!read.success) {
    const at = read.error.issues[0]?.path.join(".") ?? "";
    throw new OciError(`the configuration of ${name} is damaged${at === "" ? "" : ` (${visible(at.slice(0, AT_MAX))})`}`);
  }
  const { architecture, os, config, rootfs } = read.data;
  if (`/${architecture ?? ""}` === WASM_PLATFORM) throw new OciError(asModule(name));
  if (!isOurs({ os: os || PLATFORM.os, architecture: architecture || PLATFORM.architecture }))
    throw new OciError(`${name} is an image for ${os || "?"}/${architecture || "?"}; servers run ${PLATFORM.os}/${PLATFORM.architecture}`);
  return {
    entrypoint: entrypointOf(config?.entrypoint ?? []),
    command: config?.cmd ?? [],
    // engines pass over what sets nothing
    env: (config?.env ?? []).filter((each) => each.indexOf("=") > 0),
    workdir: config?.workingdir ?? "",
    volumes: Object.keys(config?.volumes ?? {})
      .filter((each) => each !== "")
      .map((each) => path.posix.join("/", each)),
    user: config?.user ?? "",
    stopSignal: config?.stopsignal ?? "",
    unpacked: rootfs?.diff_ids ?? [],
  };
}

/** `cache`: where layers are kept; `blobOf`: how the configuration comes there. Throws OciError. */
export async function resolveImage(source: OciSource, cache: string, blobOf = lazyBlob): Promise<OciImage> {
  const { digest, manifest } = await readManifest(source);
  const { size } = manifest.config;
  if (size > CONFIG_BYTES_MAX) throw new OciError(`the configuration of ${source.name} is larger than any is`);
  const { unpacked, ...config } = parseImageConfig(await blobOf(source, manifest.config, cache).read(0, size), source.name);
  if (manifest.layers.length === 0) throw new OciError(`${source.name} has no layers`);
  const problem = layersProblem(manifest.layers.length);
  if (problem !== null) throw new OciError(`${source.name}: ${problem}`);
  if (unpacked.length > 0 && unpacked.length !== manifest.layers.length)
    throw new OciError(
      `${source.name} has ${manifest.layers.length} layers, and its configuration states ${unpacked.length}: build or push it anew`,
    );
  const layers = manifest.layers.map((descriptor, i) =>
    layerOf(source, { descriptor, compression: compressionOf(descriptor.mediaType, source.name), stated: unpacked[i] ?? null }, cache),
  );
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
  if (!candidates && isNameInCapitals(text)) throw new OciError(`'${text}' is no image: names of images have small letters alone`);
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
