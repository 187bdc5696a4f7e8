/**
 * Images on this machine: an OCI image layout in a folder (image-spec, image-layout.md), or in a tar archive, or what `docker save`
 * writes.
 */
import { copyFile, mkdir, mkdtemp, open, readFile, rm, stat } from "node:fs/promises";
import { createReadStream, createWriteStream } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { pipeline } from "node:stream/promises";
import { createGunzip } from "node:zlib";
import { jsonIn } from "@xenoservers/protocol";
import { extract } from "tar-stream";
import { z } from "zod";
import { OciError, checkDigest, type OciSource } from "./source.ts";

const zIndex = z.object({
  manifests: z
    .array(z.object({ digest: z.unknown(), mediaType: z.string().default(""), annotations: z.record(z.string(), z.unknown()).nullish() }))
    .default([]),
});

const isDigest = (text: unknown): text is string => typeof text === "string" && /^sha256:[0-9a-f]{64}$/.test(text);

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
    const index = zIndex.safeParse(jsonIn(text));
    if (!index.success) throw new OciError(`${this.name} is no OCI image layout: its index.json is damaged`);
    const { manifests } = index.data;
    const named =
      this.#tag === null
        ? manifests
        : manifests.filter(({ annotations }) => annotations?.["org.opencontainers.image.ref.name"] === this.#tag);
    const [first] = named;
    if (!first || !isDigest(first.digest))
      throw new OciError(`${this.name} holds no image${this.#tag === null ? "" : ` named ${this.#tag}`}`);
    if (named.length > 1 && this.#tag === null) throw new OciError(`${this.name} holds ${named.length} images: say which, as oci:DIR:NAME`);
    return { mediaType: first.mediaType, bytes: await this.#read(first.digest) };
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

const GZIP = 0x1f8b;

/** Unpacks an archive into a folder of its own, and reads it there. `done` removes it. */
export async function openArchive(file: string): Promise<{ source: OciSource; done(): Promise<void> }> {
  if (!(await stat(file).catch(() => null))?.isFile()) throw new OciError(`there is no file ${file}`);
  const folder = await mkdtemp(path.join(tmpdir(), "xeno-oci-"));
  const done = (): Promise<void> => rm(folder, { recursive: true, force: true });
  try {
    const handle = await open(file, "r");
    const { buffer } = await handle.read(Buffer.alloc(2), 0, 2, 0);
    await handle.close();
    const reader = extract();
    reader.on("entry", (header, stream, next) => {
      stream.on("error", () => {}); // the reader's own error says it
      // the reader would wait for its end for ever
      if (!Number.isSafeInteger(header.size)) return next(new Error(`the size of ${header.name} is no number`));
      const name = header.name.replace(/^\.\//, "");
      if (header.type !== "file" || !/^(index\.json|oci-layout|blobs\/sha256\/[0-9a-f]{64})$/.test(name))
        return void stream.on("end", next).resume();
      const target = path.join(folder, name);
      void mkdir(path.dirname(target), { recursive: true })
        .then(() => pipeline(stream, createWriteStream(target, { mode: 0o600 })))
        .then(() => next(), next);
    });
    const source = createReadStream(file);
    await (buffer.readUInt16BE(0) === GZIP ? pipeline(source, createGunzip(), reader) : pipeline(source, reader)).catch(
      (cause: unknown) => {
        throw new OciError(`${file} is no archive of an OCI image (${(cause as Error).message})`);
      },
    );
    return { source: new Layout(folder, null), done };
  } catch (error) {
    await done();
    throw error;
  }
}
