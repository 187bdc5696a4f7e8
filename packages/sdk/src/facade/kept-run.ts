/**
 * What a job came to, as this machine keeps it to take it again in place of a new run (`reuse`): which work it was, and every byte that its
 * server signed. Small results alone are kept. Who controls the inputs: this machine's disk; what stands in it a stranger's job said.
 */
import { fromHex, toHex, zJobSpec, type JobSpec } from "@xenoservers/protocol";
import { zInputTree, type InputEntry } from "@xenoservers/protocol/channel";
import * as z from "zod/mini";
import type { BuiltWork } from "../built.ts";
import type { Delivered, TreeFile } from "../session/result.ts";
import type { Stream } from "../session/streams.ts";

/** Files of a result that are larger together are not kept here: they are run for again. */
const FILES_BYTES_MAX = 1024 * 1024;

const zBytes = z.pipe(
  z.string().check(z.regex(/^(?:[0-9a-f]{2})*$/)),
  z.transform((text) => fromHex(text) ?? new Uint8Array()),
);
const zKeptRun = z.strictObject({
  version: z.literal(1),
  lease: z.string().check(z.regex(/^[0-9a-f]{64}$/)),
  spec: zJobSpec,
  tree: zInputTree.shape.entries,
  printed: z.strictObject({ stdout: zBytes, stderr: zBytes }),
  /** By digest. */
  files: z.record(z.string(), zBytes),
});

/** As it is read again: nothing of it is believed before it is compared with the receipt. */
export interface KeptRun {
  lease: string;
  spec: JobSpec;
  tree: InputEntry[];
  printed: Readonly<Record<Stream, Uint8Array>>;
  files: ReadonlyMap<string, Uint8Array>;
}

/** Where it is kept, by the digest of its work. */
export interface KeptRuns {
  /** Where it cannot be kept, the work is run again. */
  keep(digest: string, text: string): Promise<void>;
  read(digest: string): Promise<string | null>;
  /** As it lies here, without asking anybody; null where it does not. */
  receipt(lease: string): Promise<unknown>;
  /** Ids of what was signed here about a lease, and the broker took. */
  signedAbout(lease: string, origin: string): Promise<string[]>;
}

/** Null where it cannot be read. */
export function keptRunIn(text: string): KeptRun | null {
  try {
    const { files, ...kept } = zKeptRun.parse(JSON.parse(text));
    return { ...kept, files: new Map(Object.entries(files)) };
  } catch {
    return null;
  }
}

/** Holds the bytes of a result's files while they are fetched, as long as they are few. */
export class HeldFiles {
  readonly #files = new Map<string, Uint8Array>();
  #bytes = 0;

  /** The same fetch, of which the bytes are held. */
  holding(fetch: (file: TreeFile) => Promise<Uint8Array>): (file: TreeFile) => Promise<Uint8Array> {
    return async (file) => {
      const bytes = await fetch(file);
      if (!this.#files.has(file.digest)) {
        this.#bytes += bytes.length;
        // of too many none is held
        if (this.#bytes <= FILES_BYTES_MAX) this.#files.set(file.digest, bytes.slice());
        else this.#files.clear();
      }
      return bytes;
    };
  }

  /** None where they are too many. */
  get all(): ReadonlyMap<string, Uint8Array> {
    return this.#files;
  }
}

interface Ended {
  lease: string;
  delivered: Pick<Delivered, "tree">;
  /** All of both streams. */
  printed: Readonly<Record<Stream, Uint8Array>>;
  held: HeldFiles;
}

/** What is to be kept of a job that ended well; null where it is a machine's. */
export function keptRunText(work: BuiltWork, { lease, delivered: { tree }, printed, held }: Ended): string | null {
  const spec = zJobSpec.safeParse(work.spec).data;
  if (!spec || ("segment" in work && work.segment !== null)) return null;
  return JSON.stringify({
    ...{ version: 1, lease, spec, tree },
    printed: { stdout: toHex(printed.stdout), stderr: toHex(printed.stderr) },
    files: Object.fromEntries([...held.all].map(([digest, bytes]) => [digest, toHex(bytes)])),
  });
}
