/**
 * An OCI image resolved: its digest, what it starts, and its layers, which are fetched when they are first needed and kept on this
 * machine. What no server could start is refused here. Who controls the inputs: the registry or the archive, every byte.
 */
import { systemTimers, type Timers } from "@xenoservers/protocol/link";
import { layerOf, lazyBlob, type OciLayer } from "./layer.ts";
import { readImage, unpackedBytesOf } from "./image-config.ts";
import type { AnyImage } from "./oci-image.ts";
import type { ImageWatch } from "./image-watch.ts";
import { isOnThisMachine, openHere } from "./on-this-machine.ts";
import { FirstThatHasIt } from "./first-that-has-it.ts";
import { pullSources } from "./pull-sources.ts";
import { isNameInCapitals } from "./reference.ts";
import { readRegistriesConf } from "./registries-conf.ts";
import { Registry } from "./registry.ts";
import { OciError, type OciSource } from "./source.ts";

export type { OciLayer } from "./layer.ts";

export type OciImage = AnyImage<OciLayer>;

/** `cache`: where layers are kept; `blobOf`: how the configuration comes there. Throws OciError. */
export async function resolveImage(source: OciSource, cache: string, blobOf = lazyBlob): Promise<OciImage> {
  const { layers: read, ...image } = await readImage(source, (config) => blobOf(source, config, cache).read(0, config.size));
  const layers = read.map((layer) => layerOf(source, layer, cache));
  return { ...image, layers, unpackedBytes: (most) => unpackedBytesOf(layers, most) };
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
