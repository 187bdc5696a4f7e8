/**
 * An image in an archive that a program holds: what `docker save`, `podman save` and `skopeo copy` write, read where it lies. Nothing is
 * asked of a registry. Who controls the inputs: whoever made the archive, every byte.
 */
import { TarDamage, type ArchiveBytes } from "@xenoservers/protocol/archive";
import { PACKING_BYTES, packingOf } from "@xenoservers/protocol/packing";
import type { Blob as Bytes } from "../blob.ts";
import { AbortedError } from "../errors.ts";
import { openGiven, passedOf, type OpenedBytes, type Passed, type Reading } from "../given-bytes.ts";
import { foundIn, heldIn } from "./archive-index.ts";
import { DockerManifests } from "./docker-archive.ts";
import { hashLike, partsOf } from "./hash-like.ts";
import { readImage, unpackedBytesOf } from "./image-config.ts";
import { kindOf } from "./image-kind.ts";
import type { ImageParts } from "./image-parts.ts";
import { LayoutManifests, fileOf, lacks } from "./layout.ts";
import type { ImageLayer, NamedImage } from "./oci-image.ts";
import { OciError, checkDigest, type Descriptor, type Manifests } from "./source.ts";
import { unpackedOf, unpackedStream, unpackerFor, type Held, type Told, type Unpacked } from "./unpacked-stream.ts";

/** By its name in the archive; null where it is not there. */
type Find = (name: string) => Held | null;

/** Where a blob lies. Throws OciError. */
type Locate = (blob: Descriptor) => Held;

const reading = ({ size, read }: Held): ArchiveBytes => ({
  async read(into, at, length, position) {
    const bytes = await read(position, Math.min(length, Math.max(0, size - position)));
    into.set(bytes, at);
    return { bytesRead: bytes.length };
  },
});

const MIB = 1024 * 1024;
/** Of an archive that is packed as a whole: it is held unpacked, by a browser as it holds Blobs, by Node in memory. */
export const UNPACKED_BYTES_MAX = 4096 * MIB;

interface Way {
  /** Who waits for it meanwhile. */
  reading?: Reading;
  /** Bytes that an archive which is packed as a whole may unpack to. */
  unpackedMax?: number;
  /** Bytes that its packed layers may unpack to, all of them together. */
  layersMax?: number;
}

/** Whoever made a layer may have packed a disk's fill of zeros into a few bytes. */
function noMoreThan(bytesMax: number, name: string): Passed {
  let sum = 0;
  return (bytes) => {
    sum += bytes;
    if (sum <= bytesMax) return;
    const mib = Math.floor(bytesMax / MIB);
    throw new OciError(`the layers of ${name} unpack to more than ${mib} MiB: say how large the image's disk may be (disk)`);
  };
}

/** Fails where more comes than may be held. */
function within(bytesMax: number, name: string): TransformStream<Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>> {
  let bytes = 0;
  return new TransformStream({
    transform(piece, passed) {
      bytes += piece.length;
      if (bytes <= bytesMax) return passed.enqueue(piece);
      throw new OciError(
        `${name} unpacks to more than ${Math.floor(bytesMax / MIB)} MiB, which is all that is held here: give it unpacked`,
      );
    },
  });
}

/** As the archive itself. Throws OciError where it is packed with what is not unpacked here, or unpacks to more than that. */
async function unpackedArchive(archive: OpenedBytes, { reading, unpackedMax: bytesMax }: Required<Omit<Way, "layersMax">>): Promise<Held> {
  const found = packingOf(await archive.read(0, Math.min(archive.size, PACKING_BYTES)));
  if (found.ok && found.packing === "none") return archive;
  const unpacker = found.ok ? unpackerFor(found.packing) : null;
  const wrong = `${archive.name} is packed with something that is not unpacked here: give a plain archive, or one of gzip`;
  if (!unpacker) throw new OciError(wrong);
  const bounded = unpackedStream(archive, unpacker, passedOf(reading, archive.name, archive.size)).pipeThrough(
    within(bytesMax, archive.name),
  );
  const unpacked = await new Response(bounded).blob().catch((cause: unknown) => {
    if (cause instanceof OciError || cause instanceof AbortedError) throw cause;
    throw new OciError(
      `${archive.name} does not unpack here: it is damaged, or of several gzip members, which some browsers do not unpack`,
      {
        cause,
      },
    );
  });
  return openGiven(unpacked, archive.name);
}

async function filesIn(archive: OpenedBytes, bytes: Held): Promise<Find> {
  const held = await heldIn(reading(bytes), bytes.size).catch((cause: unknown) => {
    if (!(cause instanceof TarDamage)) throw cause;
    throw new OciError(`${archive.name} is no archive of an OCI image (${cause.message})`, { cause });
  });
  return (name) => {
    const found = foundIn(held, name);
    if (!found) return null;
    const { from, size } = found;
    return { size, read: (offset, length) => bytes.read(from + offset, Math.min(length, Math.max(0, size - offset))) };
  };
}

/** What its manifests name, where it lies, and what a layer of it is. */
interface Source {
  source: Manifests;
  locate: Locate;
  measure(layer: Descriptor, stated: string | null): Promise<Unpacked>;
}

class HeldDocker extends DockerManifests implements Omit<Source, "source"> {
  readonly locate: Locate;
  readonly measure: Source["measure"];

  constructor(files: ImageParts, manifest: Uint8Array, find: Find, told: Told) {
    const named = (name: string): Held => {
      const found = find(name);
      if (!found) throw this.damaged("it lacks what it names");
      return found;
    };
    // its own manifest is made of what its layers are: each is read once
    const measured = new Map<string, Unpacked>();
    const measure = async (layer: string, plain: string | null | undefined): Promise<Unpacked> => {
      const key = `${hashLike(plain)} ${layer}`;
      const found = measured.get(key) ?? (await unpackedOf(named(layer), files.name, { plain }, told));
      measured.set(key, found);
      return found;
    };
    super(files, new TextDecoder().decode(manifest), null, async (layer, unpacked) => {
      const { packing, stored, plain } = await measure(layer, unpacked);
      return { packing, stored, plain: plain?.digest ?? null };
    });
    this.locate = (blob) => named(this.nameOf(blob));
    this.measure = (layer, stated) => measure(this.nameOf(layer), stated);
  }
}

/** Throws OciError. */
async function sourceIn(name: string, find: Find, told: Told): Promise<Source> {
  const bytes = async (wanted: string): Promise<Uint8Array> => {
    const found = find(wanted);
    return found ? found.read(0, found.size) : new Uint8Array();
  };
  const files: ImageParts = { name, isHeld: true, size: async (wanted) => find(wanted)?.size ?? null, bytes };
  const { is, manifest } = await kindOf(files);
  if (is === "folder") throw new OciError(`${name} is no archive that docker, podman or skopeo write of an image`);
  if (is === "docker") {
    const source = new HeldDocker(files, manifest, find, told);
    return { source, locate: source.locate, measure: source.measure };
  }
  const locate: Locate = ({ digest }) => {
    const found = find(fileOf(digest));
    if (!found) throw lacks(name, digest);
    return found;
  };
  const measure: Source["measure"] = (layer, stated) => unpackedOf(locate(layer), name, { stored: layer.digest, plain: stated }, told);
  return { source: new LayoutManifests(files, null), locate, measure };
}

interface StatedLayer {
  descriptor: Descriptor;
  compression: ImageLayer["compression"];
  /** What its configuration says it unpacks to. */
  stated: string | null;
}

/** It is what names it. Throws OciError. */
function layerIn(name: string, held: Held, { stored, storedLike, plain }: Unpacked, { descriptor, compression, stated }: StatedLayer) {
  if (storedLike !== descriptor.digest) throw new OciError(`a layer of ${name} does not have the digest that its manifest states`);
  if (held.size !== descriptor.size)
    throw new OciError(`a layer of ${name} has ${held.size} bytes, where its manifest says ${descriptor.size}: push it anew`);
  if (plain && stated !== null && plain.digest !== stated)
    throw new OciError(`a layer of ${name} unpacks to other bytes than its configuration states: build or push it anew`);
  const blob: Bytes = { digest: partsOf(stored).hex, size: held.size, read: held.read, isReadAnew: true };
  return { blob, compression, unpackedBytes: async () => plain?.bytes ?? null };
}

/**
 * Every byte that is to be sent is read, so that what is damaged is said before anything is ordered. Throws OciError.
 */
export async function heldImage(archive: OpenedBytes, way: Way = {}): Promise<NamedImage> {
  const { name } = archive;
  const { reading = {}, unpackedMax = UNPACKED_BYTES_MAX, layersMax = Infinity } = way;
  const bytes = await unpackedArchive(archive, { reading, unpackedMax });
  const told: Told = { passed: passedOf(reading, name, bytes.size), unpacked: noMoreThan(layersMax, name) };
  const { source, locate, measure } = await sourceIn(name, await filesIn(archive, bytes), told);
  const { layers: stated, ...image } = await readImage(source, async (config) => {
    const { size, read } = locate(config);
    return checkDigest(await read(0, Math.min(size, config.size)), config.digest, name);
  });
  const layers: ReturnType<typeof layerIn>[] = [];
  for (const each of stated) layers.push(layerIn(name, locate(each.descriptor), await measure(each.descriptor, each.stated), each));
  return { ...image, name, layers, unpackedBytes: () => unpackedBytesOf(layers) };
}
