/**
 * What an image's configuration says: what it starts, where, and what its layers unpack to. What no server could start is refused here. Who
 * controls the inputs: the registry or the archive, every byte.
 */
import { jsonIn, layersProblem, visible } from "@xenoservers/protocol";
import * as z from "zod/mini";
import type { ImageConfig, TypedPacking } from "./oci-image.ts";
import { readManifest } from "./manifest.ts";
import { PLATFORM, isOurs } from "./platform.ts";
import { OciError, type Descriptor, type Manifests } from "./source.ts";
import { WASM_PLATFORM, asModule } from "./wasm-in-registries.ts";

/** Half of a character, as an escape writes it, is U+FFFD to engines: no document of ours holds it. */
const wellFormed = (text: string): string => text.replace(/\p{Surrogate}/gu, "\ufffd");
const zText = z.pipe(
  z.nullish(z.string()),
  z.transform((text) => wellFormed(text ?? "")),
);
/** What says nothing is an empty word, to engines. */
const zStrings = z.nullish(z.array(zText));
const zConfig = z.object({
  architecture: z.nullish(z.string()),
  os: z.nullish(z.string()),
  config: z.nullish(
    z.object({
      entrypoint: zStrings,
      cmd: zStrings,
      env: zStrings,
      workingdir: zText,
      volumes: z.nullish(z.record(z.string(), z.unknown())),
      user: zText,
      stopsignal: zText,
    }),
  ),
  rootfs: z.nullish(z.object({ diff_ids: zStrings })),
});

/** Of where a configuration is damaged. */
const AT_MAX = 80;

/** Engines find what they look for whatever the case of its name; the last that comes counts. */
function inSmallLetters(value: unknown, depth: number): unknown {
  if (depth === 0 || typeof value !== "object" || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [name.toLowerCase(), inSmallLetters(each, depth - 1)]));
}

const COMPRESSIONS: readonly [RegExp, TypedPacking][] = [
  [/[+.]zstd$/, "zstd"],
  [/[+.](gzip|tar\.gzip)$/, "gzip"],
];

/** Of a type that says nothing the bytes do, as of every other. */
function compressionOf(mediaType: string, name: string): TypedPacking {
  if (/[+]encrypted$/.test(mediaType))
    throw new OciError(`a layer of ${name} is encrypted, and no server has its key: push the image without`);
  return COMPRESSIONS.find(([ends]) => ends.test(mediaType))?.[1] ?? "none";
}

/** `ENTRYPOINT [""]` is how people take one away that an image was built on. */
const entrypointOf = (words: string[]): string[] => (words.length === 1 && words[0] === "" ? [] : words);

/** As it stands from the root. */
function rooted(folder: string): string {
  const parts: string[] = [];
  for (const part of folder.split("/")) {
    if (part === "..") parts.pop();
    else if (part !== "" && part !== ".") parts.push(part);
  }
  return `/${parts.join("/")}${parts.length > 0 && folder.endsWith("/") ? "/" : ""}`;
}

/** What an image starts and where it runs. Throws OciError, also where no server could. */
export function parseImageConfig(bytes: Uint8Array, name: string): ImageConfig {
  const read = zConfig.safeParse(inSmallLetters(jsonIn(new TextDecoder().decode(bytes)), 2));
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
    volumes: [
      ...new Set(
        Object.keys(config?.volumes ?? {})
          .filter((each) => each !== "")
          .map((each) => rooted(wellFormed(each))),
      ),
    ],
    user: config?.user ?? "",
    stopSignal: config?.stopsignal ?? "",
    unpacked: rootfs?.diff_ids ?? [],
  };
}

const CONFIG_BYTES_MAX = 8 * 1024 * 1024;

interface ReadImage extends Omit<ImageConfig, "unpacked"> {
  digest: string;
  layers: { descriptor: Descriptor; compression: TypedPacking; stated: string | null }[];
}

/** `read`: gives the configuration, its digest checked. Throws OciError. */
export async function readImage(source: Manifests, read: (config: Descriptor) => Promise<Uint8Array>): Promise<ReadImage> {
  const { digest, manifest } = await readManifest(source);
  if (manifest.config.size > CONFIG_BYTES_MAX) throw new OciError(`the configuration of ${source.name} is larger than any is`);
  const { unpacked, ...config } = parseImageConfig(await read(manifest.config), source.name);
  if (manifest.layers.length === 0) throw new OciError(`${source.name} has no layers`);
  const problem = layersProblem(manifest.layers.length);
  if (problem !== null) throw new OciError(`${source.name}: ${problem}`);
  if (unpacked.length > 0 && unpacked.length !== manifest.layers.length)
    throw new OciError(
      `${source.name} has ${manifest.layers.length} layers, and its configuration states ${unpacked.length}: build or push it anew`,
    );
  const layers = manifest.layers.map((descriptor, i) => ({
    ...{ descriptor, compression: compressionOf(descriptor.mediaType, source.name), stated: unpacked[i] ?? null },
  }));
  return { digest, ...config, layers };
}

/** What all layers unpack to; null where one cannot be told. `most`: of all of them together, for those that know when to stop. */
export async function unpackedBytesOf(
  layers: readonly { unpackedBytes(most?: number): Promise<number | null> }[],
  most = Infinity,
): Promise<number | null> {
  let sum = 0;
  for (const layer of layers) {
    const bytes = await layer.unpackedBytes(most - sum);
    if (bytes === null) return null;
    sum += bytes;
  }
  return sum;
}
