/** An archive of `docker save` on this machine, whose layers become files of their own. Who controls the inputs: whoever made it. */
import { createHash, type Hash } from "node:crypto";
import { Transform, Writable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { isDamage, packingOf } from "@xenoservers/protocol/unpack";
import { DockerManifests, type Measured } from "./docker-archive.ts";
import { OURS, hashLike } from "./hash-like.ts";
import { copyIn, type ImageFiles } from "./image-files.ts";
import { OciError, type Descriptor, type OciSource } from "./source.ts";
import { unpackersHere } from "./unpackers-here.ts";

/** Bytes on their way are counted into it. */
const hashedInto = (hash: Hash): Transform =>
  new Transform({
    transform(chunk: Buffer, _, done) {
      hash.update(chunk);
      done(null, chunk);
    },
  });

async function measured(files: ImageFiles, layer: string, unpacked: string | undefined): Promise<Measured> {
  const algorithm = hashLike(unpacked);
  const start = await files.stream(layer).take(1).toArray();
  const found = packingOf(Buffer.concat(start));
  if (!found.ok) throw new OciError(`${files.name}: ${found.why}`);
  const through = await unpackersHere(found.packing);
  if (!through) throw new OciError(`${files.name}: its layers are packed with ${found.packing}, which this machine does not unpack`);
  const [stored, plain] = [createHash(OURS), createHash(algorithm)];
  await pipeline([
    files.stream(layer),
    hashedInto(stored),
    ...through,
    hashedInto(plain),
    new Writable({ write: (_, __, done) => done() }),
  ]).catch((cause: unknown) => {
    throw isDamage(cause) ? new OciError(`a layer of ${files.name} is damaged: ${cause.message}`, { cause }) : cause;
  });
  return { packing: found.packing, stored: `${OURS}:${stored.digest("hex")}`, plain: `${algorithm}:${plain.digest("hex")}` };
}

export class DockerArchive extends DockerManifests implements OciSource {
  readonly #files: ImageFiles;

  constructor(files: ImageFiles, manifest: string, wanted: string | null) {
    super(files, manifest, wanted, (layer, unpacked) => measured(files, layer, unpacked));
    this.#files = files;
  }

  async save(blob: Descriptor, file: string): Promise<void> {
    if (!(await copyIn(this.#files, this.nameOf(blob), file))) throw this.damaged("it lacks what it names");
  }
}
