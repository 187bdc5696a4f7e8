/**
 * An image in an archive that a program holds: what `docker save`, `podman save` and `skopeo copy` write, read where it lies. Nothing is
 * asked of a registry. Who controls the inputs: whoever made the archive, every byte.
 */
import { TarDamage, type ArchiveBytes } from "@xenoservers/protocol/archive";
import { PACKING_BYTES, packingOf } from "@xenoservers/protocol/packing";
import type { Blob as Bytes } from "../blob.ts";
import { openGiven, type OpenedBytes } from "../given-bytes.ts";
import { foundIn, heldIn } from "./archive-index.ts";
import { DockerManifests } from "./docker-archive.ts";
import { partsOf } from "./hash-like.ts";
import { readImage, unpackedBytesOf } from "./image-config.ts";
import { kindOf } from "./image-kind.ts";
import type { ImageParts } from "./image-parts.ts";
import { LayoutManifests, fileOf, lacks } from "./layout.ts";
import type { ImageLayer, NamedImage } from "./oci-image.ts";
import { OciError, checkDigest, type Descriptor, type Manifests } from "./source.ts";
import { unpackedOf, unpackedStream, unpackerFor, type Held } from "./unpacked-stream.ts";

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
async function unpackedArchive(archive: OpenedBytes, bytesMax: number): Promise<Held> {
  const found = packingOf(await archive.read(0, Math.min(archive.size, PACKING_BYTES)));
  if (found.ok && found.packing === "none") return archive;
  const unpacker = found.ok ? unpackerFor(found.packing) : null;
  const wrong = `${archive.name} is packed with something that is not unpacked here: give a plain archive, or one of gzip`;
  if (!unpacker) throw new OciError(wrong);
  const bounded = unpackedStream(archive, unpacker).pipeThrough(within(bytesMax, archive.name));
  const unpacked = await new Response(bounded).blob().catch((cause: unknown) => {
    if (cause instanceof OciError) throw cause;
    throw new OciError(
      `${archive.name} does not unpack here: it is damaged, or of several gzip members, which some browsers do not unpack`,
      {
        cause,
      },
    );
  });
  return openGiven(unpacked, archive.name);
}

async function filesIn(archive: OpenedBytes, bytesMax: number): Promise<Find> {
  const bytes = await unpackedArchive(archive, bytesMax);
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

class HeldDocker extends DockerManifests {
  readonly locate: Locate;

  constructor(files: ImageParts, manifest: Uint8Array, find: Find) {
    const named = (name: string): Held => {
      const found = find(name);
      if (!found) throw this.damaged("it lacks what it names");
      return found;
    };
    super(files, new TextDecoder().decode(manifest), null, async (layer, unpacked) => {
      const { packing, stored, plain } = await unpackedOf(named(layer), files.name, { plain: unpacked });
      return { packing, stored, plain: plain?.digest ?? null };
    });
    this.locate = (blob) => named(this.nameOf(blob));
  }
}

/** What its manifests name, and where it lies. Throws OciError. */
async function sourceIn(name: string, find: Find): Promise<{ source: Manifests; locate: Locate }> {
  const bytes = async (wanted: string): Promise<Uint8Array> => {
    const found = find(wanted);
    return found ? found.read(0, found.size) : new Uint8Array();
  };
  const files: ImageParts = { name, isHeld: true, size: async (wanted) => find(wanted)?.size ?? null, bytes };
  const { is, manifest } = await kindOf(files);
  if (is === "folder") throw new OciError(`${name} is no archive that docker, podman or skopeo write of an image`);
  if (is === "docker") {
    const source = new HeldDocker(files, manifest, find);
    return { source, locate: source.locate };
  }
  const locate: Locate = ({ digest }) => {
    const found = find(fileOf(digest));
    if (!found) throw lacks(name, digest);
    return found;
  };
  return { source: new LayoutManifests(files, null), locate };
}

interface StatedLayer {
  descriptor: Descriptor;
  compression: ImageLayer["compression"];
  /** What its configuration says it unpacks to. */
  stated: string | null;
}

/** All of it is read once, and is what names it. Throws OciError. */
async function layerIn(name: string, held: Held, { descriptor, compression, stated }: StatedLayer) {
  const { stored, storedLike, plain } = await unpackedOf(held, name, { stored: descriptor.digest, plain: stated });
  if (storedLike !== descriptor.digest) throw new OciError(`a layer of ${name} does not have the digest that its manifest states`);
  if (held.size !== descriptor.size)
    throw new OciError(`a layer of ${name} has ${held.size} bytes, where its manifest says ${descriptor.size}: push it anew`);
  if (plain && stated !== null && plain.digest !== stated)
    throw new OciError(`a layer of ${name} unpacks to other bytes than its configuration states: build or push it anew`);
  const blob: Bytes = { digest: partsOf(stored).hex, size: held.size, read: held.read, isReadAnew: true };
  return { blob, compression, unpackedBytes: async () => plain?.bytes ?? null };
}

/**
 * Every byte that is to be sent is read once, so that what is damaged is said before anything is ordered. `unpackedMax`: bytes that an
 * archive which is packed as a whole may unpack to. Throws OciError.
 */
export async function heldImage(archive: OpenedBytes, unpackedMax = UNPACKED_BYTES_MAX): Promise<NamedImage> {
  const { name } = archive;
  const { source, locate } = await sourceIn(name, await filesIn(archive, unpackedMax));
  const { layers: stated, ...image } = await readImage(source, async (config) => {
    const { size, read } = locate(config);
    return checkDigest(await read(0, Math.min(size, config.size)), config.digest, name);
  });
  const layers: Awaited<ReturnType<typeof layerIn>>[] = [];
  for (const each of stated) layers.push(await layerIn(name, locate(each.descriptor), each));
  return { ...image, name, layers, unpackedBytes: () => unpackedBytesOf(layers) };
}
