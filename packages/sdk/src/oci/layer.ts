/**
 * One layer of an image: brought to this machine when somebody first reads it, and kept; what it unpacks to is counted then. Who controls
 * the inputs: the registry or the archive, every byte: nothing counts that does not hash to what names it.
 */
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { open, readFile, rm, stat, utimes, writeFile } from "node:fs/promises";
import path from "node:path";
import { Writable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { visible } from "@xenoservers/protocol";
import { beginsArchive } from "@xenoservers/protocol/archive";
import { ifThere, makeFolder, moveTo, nameBeside, readIfThere } from "@xenoservers/protocol/files";
import { PACKING_BYTES, isDamage, packingOf } from "@xenoservers/protocol/unpack";
import { dropLock, takeLock } from "../node/own-lock.ts";
import { roomIn } from "../room.ts";
import type { Blob } from "../blob.ts";
import { fileBlob, readAt } from "../tree.ts";
import { digestOfFile } from "./file-digest.ts";
import { OURS, hashLike, partsOf } from "./hash-like.ts";
import type { ImageLayer, TypedPacking } from "./oci-image.ts";
import { OciError, type Descriptor, type OnBytes, type OciSource } from "./source.ts";
import { unpackersHere } from "./unpackers-here.ts";

export interface OciLayer extends ImageLayer {
  /** Whether it is on this machine. Throws OciError where what is here is not what is meant. */
  isHere(): Promise<boolean>;
  /** Throws OciError where it cannot be had. */
  bring(onBytes: OnBytes): Promise<void>;
  /**
   * Null where this machine cannot tell: the server will. Throws OciError where the bytes are no layer, or not the one that is
   * meant, and as soon as they are more than `most`.
   */
  unpackedBytes(most?: number): Promise<number | null>;
}

/** How many bytes it has; null where it is not there. From now on it was used lately, so that who makes room leaves it. */
async function usedSize(file: string): Promise<number | null> {
  const now = new Date();
  return (await ifThere(utimes(file, now, now).then(() => stat(file))))?.size ?? null;
}

/**
 * How many bytes the blob of that name here has; null where it is not here. One of another size than is said is looked at: what a machine
 * that lost power has left of it is removed.
 */
async function sizeHere(cache: string, hex: string, said: number): Promise<number | null> {
  const file = path.join(cache, hex);
  const size = await usedSize(file);
  if (size === null || size === said || (await fileBlob(file)).digest === hex) return size;
  await rm(file, { force: true });
  return null;
}

/** Of what a layer unpacks to, what tells whether it is an archive. */
const START_BYTES = 512;
const MIB = 1024 * 1024;
const nobody: OnBytes = () => {};
/** Where a blob that its manifest names by another hash has the one by which servers know it. */
const noteOf = (cache: string, digest: string): string => path.join(cache, digest.split(":").reverse().join("."));

/** By sha256, as it is called in the cache; null where that is not known yet. */
async function hexIn(cache: string, digest: string): Promise<string | null> {
  const { algorithm, hex } = partsOf(digest);
  if (algorithm === OURS) return hex;
  const noted = await readIfThere(noteOf(cache, digest));
  return noted !== null && /^[0-9a-f]{64}$/.test(noted) ? noted : null;
}

/** A server is told the size that a manifest says: bytes of another one are not that layer, also where they are here already. */
function checkSize(size: number, { name }: OciSource, { size: said }: Descriptor): void {
  if (size !== said) throw new OciError(`a layer of ${name} has ${size} bytes, where its manifest says ${said}: push it anew`);
}

/** What the blob is called in `cache`, where it lies now, its digest and size checked. */
async function bring(source: OciSource, blob: Descriptor, cache: string, onBytes = nobody): Promise<string> {
  const { digest } = blob;
  const { hex } = partsOf(digest);
  const known = await hexIn(cache, digest);
  const size = known === null ? null : await sizeHere(cache, known, blob.size);
  if (known !== null && size !== null) {
    checkSize(size, source, blob);
    return known;
  }
  await makeFolder(cache);
  // what a program that was ended had of it is gone on with, by one at a time: what it is, the digest says in the end
  const lock = path.join(cache, `${hex}.lock`);
  const isOne = (await takeLock(lock)) === null;
  try {
    const file = path.join(cache, hex);
    return await bringAs(isOne ? `${file}.part` : nameBeside(file), { source, blob, cache }, onBytes);
  } finally {
    if (isOne) await dropLock(lock);
  }
}

interface Wanted {
  source: OciSource;
  blob: Descriptor;
  cache: string;
}

async function bringAs(part: string, { source, blob, cache }: Wanted, onBytes: OnBytes): Promise<string> {
  const { digest } = blob;
  const { algorithm, hex } = partsOf(digest);
  const toCome = blob.size - ((await ifThere(stat(part)))?.size ?? 0);
  if (toCome > (await roomIn(cache)))
    throw new OciError(`a layer of ${source.name} has ${Math.ceil(blob.size / MIB)} MiB, for which there is no room in ${cache}`);
  try {
    await source.save(blob, part, onBytes);
    const { digest: found, size } = await fileBlob(part);
    const isRight = algorithm === OURS ? found === hex : (await digestOfFile(part, digest)) === digest;
    if (!isRight) throw new OciError(`a layer of ${source.name} does not have the digest that its manifest states`);
    checkSize(size, source, blob);
    await moveTo(path.join(cache, found), part);
    if (algorithm !== OURS) await writeFile(noteOf(cache, digest), found, { mode: 0o600 });
    return found;
  } finally {
    await rm(part, { force: true });
  }
}

/** A blob that is brought to this machine when somebody first reads it. One that another hash names has a digest from then on. */
class LazyBlob implements Blob {
  readonly size: number;
  readonly #bring: () => Promise<string>;
  readonly #cache: string;
  #hex: string | null;
  #here: Promise<string> | null = null;

  constructor(source: OciSource, descriptor: Descriptor, cache: string) {
    const { algorithm, hex } = partsOf(descriptor.digest);
    this.size = descriptor.size;
    this.#cache = cache;
    this.#hex = algorithm === OURS ? hex : null;
    this.#bring = () => bring(source, descriptor, cache);
  }

  get digest(): string {
    if (this.#hex === null) throw new Error("a blob that is not here has no digest of sha256 yet");
    return this.#hex;
  }

  /** It was brought, and is called so. */
  isHere(hex: string): void {
    this.#hex = hex;
  }

  async read(offset: number, length: number): Promise<Uint8Array> {
    this.isHere(await (this.#here ??= this.#bring()));
    return readAt(path.join(this.#cache, this.digest), this.size)(offset, length);
  }
}

export const lazyBlob = (source: OciSource, descriptor: Descriptor, cache: string): Blob => new LazyBlob(source, descriptor, cache);

async function startOf(file: string): Promise<Uint8Array> {
  const handle = await open(file, "r");
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(PACKING_BYTES), 0, PACKING_BYTES, 0);
    return buffer.subarray(0, bytesRead);
  } finally {
    await handle.close();
  }
}

/** What it unpacks to: how many bytes, and their digest. And how many it has itself. */
interface Unpacked {
  bytes: number;
  digest: string;
  stored: number;
}

/** Whoever made a layer may have packed a disk's fill of zeros into a few bytes. */
const tooLarge = ({ name }: OciSource, most: number): OciError =>
  new OciError(`a layer of ${name} unpacks to more than ${Math.floor(most / MIB)} MiB: say how large the image's disk may be (--disk)`);

/** By the hash that `stated` is of. Null where this machine cannot tell. */
async function measured(file: string, stated: string | null, source: OciSource, most: number): Promise<Unpacked | null> {
  const found = packingOf(await startOf(file));
  if (!found.ok) throw new OciError(`${source.name}: ${found.why}`);
  const through = await unpackersHere(found.packing);
  if (!through) return null;
  let bytes = 0;
  let start: Buffer = Buffer.alloc(0);
  const algorithm = hashLike(stated);
  const hash = createHash(algorithm);
  const count = new Writable({
    write(chunk: Buffer, _, done) {
      bytes += chunk.length;
      if (bytes > most) return done(tooLarge(source, most));
      hash.update(chunk);
      if (start.length < START_BYTES) start = Buffer.concat([start, chunk.subarray(0, START_BYTES - start.length)]);
      done();
    },
  });
  await pipeline([createReadStream(file), ...through, count]).catch((cause: unknown) => {
    throw isDamage(cause) ? new OciError(`a layer of ${source.name} is damaged: ${cause.message}`, { cause }) : cause;
  });
  if (!beginsArchive(start))
    throw new OciError(`a layer of ${source.name} is no archive of files: it is a signature or the like, not an image that can be started`);
  return { bytes, digest: `${algorithm}:${hash.digest("hex")}`, stored: (await stat(file)).size };
}

const UNPACKED = ".unpacked";
/** Letters of a digest, its hash's name among them. */
const SHOWN = 19;
/** Whole: half of one would be taken for another layer's. */
const NOTED = /^(\d+) (sha256:[0-9a-f]{64}|sha384:[0-9a-f]{96}|sha512:[0-9a-f]{128}) (\d+)$/;

/** What was noted of a blob when it was looked at, by the hash that `stated` is of; null where nothing was. */
async function noted(cache: string, hex: string | null, stated: string | null): Promise<Unpacked | null> {
  const text = hex === null ? null : await readFile(path.join(cache, `${hex}${UNPACKED}`), "utf8").catch(() => null);
  const [, bytes, digest, stored] = NOTED.exec(text ?? "") ?? [];
  if (digest === undefined || partsOf(digest).algorithm !== hashLike(stated)) return null;
  return { bytes: Number(bytes), digest, stored: Number(stored) };
}

/** A layer as its manifest describes it. */
interface DescribedLayer {
  descriptor: Descriptor;
  compression: TypedPacking;
  /** The digest of what it unpacks to, as its image's configuration has it; null where that has none. */
  stated: string | null;
}

export function layerOf(source: OciSource, { descriptor, compression, stated }: DescribedLayer, cache: string): OciLayer {
  const blob = new LazyBlob(source, descriptor, cache);
  const brought = async (onBytes = nobody): Promise<string> => {
    const hex = await bring(source, descriptor, cache, onBytes);
    blob.isHere(hex);
    return path.join(cache, hex);
  };
  const measuredAnew = async (most: number): Promise<Unpacked | null> => {
    const file = await brought();
    const unpacked = await measured(file, stated, source, most);
    if (unpacked) await writeFile(`${file}${UNPACKED}`, `${unpacked.bytes} ${unpacked.digest} ${unpacked.stored}`, { mode: 0o600 });
    return unpacked;
  };
  return {
    ...{ blob, compression },
    async isHere() {
      const hex = await hexIn(cache, descriptor.digest);
      const size = hex === null ? null : await sizeHere(cache, hex, descriptor.size);
      if (hex === null || size === null) return false;
      checkSize(size, source, descriptor);
      blob.isHere(hex);
      return true;
    },
    async bring(onBytes) {
      await brought(onBytes);
    },
    async unpackedBytes(most = Infinity) {
      const before = await noted(cache, await hexIn(cache, descriptor.digest), stated);
      const unpacked = before ?? (await measuredAnew(most));
      if (unpacked === null) return null;
      checkSize(unpacked.stored, source, descriptor);
      if (stated !== null && unpacked.digest !== stated) {
        const digest = visible(stated.slice(0, SHOWN));
        throw new OciError(
          `a layer of ${source.name} unpacks to other bytes than its configuration states (${digest}): build or push it anew`,
        );
      }
      if (unpacked.bytes > most) throw tooLarge(source, most);
      return unpacked.bytes;
    },
  };
}
