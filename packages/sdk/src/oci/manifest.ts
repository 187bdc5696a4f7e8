/**
 * The manifest of an image for what servers run: of an index, or of indexes in one. Who controls the inputs: the registry or the archive,
 * every byte.
 */
import { jsonIn, visible } from "@xenoservers/protocol";
import * as z from "zod/mini";
import { digestProblem, hashOf } from "./hash-like.ts";
import { PLATFORM, isOurs } from "./platform.ts";
import { WASM_PLATFORM, WASM_TYPE, asModule } from "./wasm-in-registries.ts";
import { OciError, type Manifests } from "./source.ts";

/** By other hashes nothing is fetched; an index may name images for others so. */
const zDigest = z.string().check(z.maxLength(300));
const zDescriptor = z.object({
  mediaType: z._default(z.string().check(z.maxLength(200)), ""),
  digest: zDigest,
  size: z.int().check(z.gte(0)),
});
const zPlatform = z.object({ os: z._default(z.string(), ""), architecture: z._default(z.string(), ""), variant: z.nullish(z.string()) });
const zIndex = z.object({ manifests: z.array(z.extend(zDescriptor, { platform: z.nullish(zPlatform) })).check(z.maxLength(1_000)) });
/** Of an image, which an index has not: what is read as either is whatever its reader likes (CVE-2021-41190). */
const AMBIGUOUS = ["config", "layers", "fsLayers", "history"] as const;
/** Docker's first format, where it says nothing of a configuration; some tools write its number into the newer ones. */
const zFirst = z.object({ schemaVersion: z.literal(1) });
const zManifest = z.object({
  config: zDescriptor,
  layers: z.pipe(
    z.nullish(z.array(zDescriptor).check(z.maxLength(1_000))),
    z.transform((layers) => layers ?? []),
  ),
});
const INDEX_DEPTH_MAX = 3;
/** Of manifests that are fetched to find the image. */
const LOOKED_AT_MAX = 20;
/** Of the configuration of what can be started; everything else is an artifact (image-spec, manifest.md). */
const CONFIG_TYPES: ReadonlySet<string> = new Set([
  ...["application/vnd.oci.image.config.v1+json", "application/vnd.docker.container.image.v1+json"],
  ...["application/octet-stream", "application/json", ""],
]);
const jsonOf = (bytes: Uint8Array): unknown => jsonIn(new TextDecoder().decode(bytes));

function checkHash({ digest }: { digest: string }, name: string): void {
  const problem = digestProblem(digest);
  if (problem !== null) throw new OciError(`${name} names a part by ${visible(digest.slice(0, 140))}: ${problem}; push it anew`);
}

type Index = z.infer<typeof zIndex>;
interface FoundManifest {
  digest: string;
  manifest: z.infer<typeof zManifest>;
}

/** Those that may hold the one for this platform, the likeliest first: attestations and their like are for none. */
function candidatesIn({ manifests }: Index): Index["manifests"] {
  // images for newer processors of the kind (v2, v3) come after those for all of them
  const fitting = manifests
    .filter(({ platform }) => platform && isOurs(platform))
    .sort((a, b) => (a.platform?.variant ?? "").localeCompare(b.platform?.variant ?? ""));
  return fitting.length > 0 ? fitting.slice(0, 1) : manifests.filter(({ platform }) => !platform);
}

const platformsOf = ({ manifests }: Index): string[] =>
  manifests.flatMap(({ platform }) =>
    platform && platform.os !== "unknown" ? [`${platform.os || "?"}/${platform.architecture || "?"}`] : [],
  );

/** Finds the manifest for this platform in an index, or in indexes of an index. */
class Search {
  readonly #source: Manifests;
  readonly #platforms = new Set<string>();
  #looked = 0;

  constructor(source: Manifests) {
    this.#source = source;
  }

  /** Throws OciError where there is none. */
  async found(): Promise<FoundManifest> {
    const { name } = this.#source;
    const found = await this.#from(null, INDEX_DEPTH_MAX);
    if (found) return found;
    const all = [...this.#platforms];
    if (all.length > 0 && all.every((each) => each.endsWith(WASM_PLATFORM))) throw new OciError(asModule(name));
    const has = all.join(", ") || "none at all";
    throw new OciError(`${name} has no image for ${PLATFORM.os}/${PLATFORM.architecture}; it has ${has}`);
  }

  /** Null where it has none for this platform. */
  async #from(version: string | null, depth: number): Promise<FoundManifest | null> {
    const { name } = this.#source;
    if (++this.#looked > LOOKED_AT_MAX)
      throw new OciError(`${name} is an index of more than ${LOOKED_AT_MAX} images that name no platform`);
    const { bytes } = await this.#source.manifest(version);
    const index = zIndex.safeParse(jsonOf(bytes));
    if (index.success) {
      const also = AMBIGUOUS.filter((field) => field in (jsonOf(bytes) as object));
      if (also.length > 0)
        throw new OciError(`the manifest of ${name} is an index and an image at once (${also.join(", ")}): push it anew`);
      if (depth === 0) throw new OciError(`${name} is an index of indexes, deeper than ${INDEX_DEPTH_MAX}`);
      for (const platform of platformsOf(index.data)) this.#platforms.add(platform);
      for (const each of candidatesIn(index.data)) {
        checkHash(each, name);
        const found = await this.#from(each.digest, depth - 1);
        if (found) return found;
      }
      return null;
    }
    const manifest = zManifest.safeParse(jsonOf(bytes));
    if (!manifest.success && zFirst.safeParse(jsonOf(bytes)).success)
      throw new OciError(`${name} is an image in Docker's first format, which registries have given up: push it anew`);
    if (!manifest.success) throw new OciError(`the manifest of ${name} is damaged`);
    return { digest: hashOf(bytes), manifest: manifest.data };
  }
}

/** The manifest for this platform, of what can be started. */
export async function readManifest(source: Manifests): Promise<FoundManifest> {
  const found = await new Search(source).found();
  const { config, layers } = found.manifest;
  if ([config, ...layers].some(({ mediaType }) => WASM_TYPE.test(mediaType))) throw new OciError(asModule(source.name));
  if (!CONFIG_TYPES.has(config.mediaType))
    throw new OciError(`${source.name} is no image that can be started: its configuration is of the kind ${visible(config.mediaType)}`);
  for (const each of [config, ...layers]) checkHash(each, source.name);
  return found;
}
