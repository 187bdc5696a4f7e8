/**
 * What several jobs print, held until it is known whose is shown: in memory up to a bound, the rest in files of a folder that is gone with
 * it. A job prints at most what was ordered (`--max-output`). Who controls the inputs: the jobs, every byte.
 */
import { createReadStream } from "node:fs";
import { appendFile, truncate } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { InputError } from "@xenoservers/sdk";
import { scratch } from "../local/scratch.ts";
import type { Stream } from "./terminal.ts";

/** Of each stream, as of a single run that nobody reads. */
const IN_MEMORY_BYTES_MAX = 1024 * 1024;

interface HeldStream {
  parts: Uint8Array[];
  bytes: number;
  /** Null: all of it is in memory. */
  file: string | null;
  /** What is on its way into the file. */
  writing: Promise<void>;
}

const nothing = (): HeldStream => ({ parts: [], bytes: 0, file: null, writing: Promise.resolve() });

export class HeldOutput {
  readonly #slots: readonly Readonly<Record<Stream, HeldStream>>[];
  #folder: ReturnType<typeof scratch> | null = null;

  constructor(count: number) {
    this.#slots = Array.from({ length: count }, () => ({ stdout: nothing(), stderr: nothing() }));
  }

  /** Resolves when more of it may come; where it cannot be held here, whoever reads it hears of that. */
  async take(slot: number, stream: Stream, bytes: Uint8Array): Promise<void> {
    const held = this.#slots[slot]?.[stream];
    if (!held) return;
    held.parts.push(bytes);
    held.bytes += bytes.length;
    if (held.bytes > IN_MEMORY_BYTES_MAX) await this.#write(held, `${slot}.${stream}`).catch(() => {});
  }

  /** Another server begins anew: what the one before has printed is void. */
  restart(slot: number): void {
    for (const held of Object.values(this.#slots[slot] ?? {})) {
      held.parts.length = 0;
      held.bytes = 0;
      held.writing = held.writing.then(() => (held.file === null ? undefined : truncate(held.file)));
      held.writing.catch(() => {});
    }
  }

  #write(held: HeldStream, name: string): Promise<void> {
    const whole = Buffer.concat(held.parts.splice(0));
    held.bytes = 0;
    return (held.writing = held.writing.then(() => this.#append(held, name, whole)));
  }

  async #append(held: HeldStream, name: string, bytes: Uint8Array): Promise<void> {
    try {
      const { folder } = await (this.#folder ??= scratch("replicas"));
      held.file = path.join(folder, name);
      await appendFile(held.file, bytes);
    } catch (cause) {
      const why = cause instanceof Error ? cause.message : String(cause);
      throw new InputError(`what the job prints cannot be held in ${tmpdir()} until it is shown (${why}): make room there`, { cause });
    }
  }

  /** From its beginning on. */
  async *read(slot: number, stream: Stream): AsyncGenerator<Uint8Array, void> {
    const held = this.#slots[slot]?.[stream];
    if (!held) return;
    await held.writing;
    if (held.file !== null) yield* createReadStream(held.file) as AsyncIterable<Buffer>;
    yield* held.parts;
  }

  /** The same, all of it in memory. */
  async whole(slot: number, stream: Stream): Promise<Uint8Array[]> {
    const parts: Uint8Array[] = [];
    for await (const bytes of this.read(slot, stream)) parts.push(bytes);
    return parts;
  }

  async close(): Promise<void> {
    // where none could be made there is none to remove
    const made = await this.#folder?.catch(() => null);
    await made?.remove();
  }
}
