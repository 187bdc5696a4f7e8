/**
 * Images on this machine: an OCI image layout in a folder (image-spec, image-layout.md), or in a tar archive, or what `docker save`
 * writes.
 */
import { copyFile, mkdir, mkdtemp, open, readFile, rm, stat, writeFile, type FileHandle } from "node:fs/promises";
import { createReadStream, createWriteStream } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { pipeline } from "node:stream/promises";
import { jsonIn } from "@xenoservers/protocol";
import { TarDamage, readTar } from "@xenoservers/protocol/archive";
import { PACKING_BYTES, isDamage, packingOf, unpackers } from "@xenoservers/protocol/unpack";
import { z } from "zod";
import { OciError, checkDigest, type OciSource } from "./source.ts";

const zIndex = z.object({
  manifests: z
    .array(z.object({ digest: z.unknown(), mediaType: z.string().default(""), annotations: z.record(z.string(), z.unknown()).nullish() }))
    .default([]),
});

const isDigest = (text: unknown): text is string => typeof text === "string" && /^sha256:[0-9a-f]{64}$/.test(text);

/** The image that is meant, by what stands in a layout's index.json. Throws OciError. */
export function parseLayoutIndex(text: string, name: string, tag: string | null): { mediaType: string; digest: string } {
  const index = zIndex.safeParse(jsonIn(text));
  if (!index.success) throw new OciError(`${name} is no OCI image layout: its index.json is damaged`);
  const { manifests } = index.data;
  const named =
    tag === null ? manifests : manifests.filter(({ annotations }) => annotations?.["org.opencontainers.image.ref.name"] === tag);
  const [first] = named;
  if (!first || !isDigest(first.digest)) throw new OciError(`${name} holds no image${tag === null ? "" : ` named ${tag}`}`);
  const images = new Set(named.map(({ digest }) => digest)).size; // an image that was saved under several names is one
  if (images > 1 && tag === null) throw new OciError(`${name} holds ${images} images: say which, as oci:DIR:NAME`);
  return { mediaType: first.mediaType, digest: first.digest };
}

export class Layout implements OciSource {
  readonly name: string;
  readonly #folder: string;
  readonly #tag: string | null;

  constructor(folder: string, tag: string | null) {
    this.#folder = folder;
    this.#tag = tag;
    this.name = folder;
  }

  #blob(digest: string): string {
    if (!isDigest(digest)) throw new OciError(`${this.name} names a blob by something that is no SHA-256 digest`);
    return path.join(this.#folder, "blobs", "sha256", digest.slice("sha256:".length));
  }

  async manifest(version: string | null): Promise<{ mediaType: string; bytes: Uint8Array }> {
    if (version !== null) return { mediaType: "", bytes: await this.#read(version) };
    const text = await readFile(path.join(this.#folder, "index.json"), "utf8").catch(() => {
      throw new OciError(`${this.name} is no OCI image layout: it has no index.json`);
    });
    const { mediaType, digest } = parseLayoutIndex(text, this.name, this.#tag);
    return { mediaType, bytes: await this.#read(digest) };
  }

  async #read(digest: string): Promise<Uint8Array> {
    const bytes = await readFile(this.#blob(digest)).catch(() => {
      throw new OciError(`${this.name} lacks the blob ${digest.slice(0, 19)}`);
    });
    return checkDigest(bytes, digest, this.name);
  }

  async save(digest: string, _: number, file: string): Promise<void> {
    await copyFile(this.#blob(digest), file).catch(() => {
      throw new OciError(`${this.name} lacks the blob ${digest.slice(0, 19)}`);
    });
  }
}

const OWN = { mode: 0o600 };

/** As the archive itself, whatever it is packed with. Throws OciError where it is packed with something else, or damaged. */
async function unpackedArchive(file: string, folder: string): Promise<string> {
  const found = packingOf(Buffer.concat(await createReadStream(file, { end: PACKING_BYTES - 1 }).toArray()));
  const through = found.ok ? unpackers(found.packing) : null;
  if (!through) throw new OciError(`${file} is packed with something that is not unpacked here: give a plain archive, or one of gzip`);
  if (through.length === 0) return file;
  const unpacked = path.join(folder, "archive.tar");
  await pipeline([createReadStream(file), ...through, createWriteStream(unpacked, OWN)]);
  return unpacked;
}

const WANTED = /^(?:\.\/)?(index\.json|oci-layout|blobs\/sha256\/[0-9a-f]{64})$/;

/** The files of a layout, and where each lies in the archive. Throws TarDamage where it is no archive. */
export async function* layoutFiles(archive: FileHandle, bytes: number): AsyncGenerator<{ file: string; from: number; size: number }> {
  for await (const { name, kind, size, pieces } of readTar(archive, bytes)) {
    const file = WANTED.exec(name)?.[1];
    if (kind !== "file" || file === undefined) continue;
    const stored = pieces.reduce((sum, { length }) => sum + length, 0);
    if (stored !== size) throw new TarDamage(`${file} has holes`);
    yield { file, from: pieces[0]?.from ?? 0, size }; // without holes they lie one after the other
  }
}

/** Puts what belongs to a layout into the folder. Throws TarDamage where it is no archive. */
async function extractLayout(archive: string, folder: string): Promise<void> {
  const handle = await open(archive, "r");
  try {
    for await (const { file, from, size } of layoutFiles(handle, (await handle.stat()).size)) {
      const target = path.join(folder, file);
      await mkdir(path.dirname(target), { recursive: true });
      if (size > 0) await pipeline(createReadStream(archive, { start: from, end: from + size - 1 }), createWriteStream(target, OWN));
      else await writeFile(target, "", OWN);
    }
  } finally {
    await handle.close();
  }
}

/** Unpacks an archive into a folder of its own, and reads it there. `done` removes it. */
export async function openArchive(file: string): Promise<{ source: OciSource; done(): Promise<void> }> {
  if (!(await stat(file).catch(() => null))?.isFile()) throw new OciError(`there is no file ${file}`);
  const folder = await mkdtemp(path.join(tmpdir(), "xeno-oci-"));
  const done = (): Promise<void> => rm(folder, { recursive: true, force: true });
  try {
    await extractLayout(await unpackedArchive(file, folder), folder);
    return { source: new Layout(folder, null), done };
  } catch (cause) {
    await done();
    if (!isDamage(cause) && !(cause instanceof TarDamage)) throw cause;
    throw new OciError(`${file} is no archive of an OCI image (${cause.message})`, { cause });
  }
}
