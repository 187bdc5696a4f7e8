/** What a run that is followed piece by piece prints and leaves, held while it is small, and kept to be taken again (`reuse`). */
import { concatBytes } from "@xenoservers/protocol";
import type { BuiltWork } from "../built.ts";
import type { MarketClient } from "../client.ts";
import { HeldFiles, keptRunText } from "../facade/kept-run.ts";
import { filesOf, reusable, type Reusable } from "../facade/reuse.ts";
import { plannedDigest, workDigest } from "../facade/same-work.ts";
import type { Delivered, TreeFile } from "../session/result.ts";
import type { Stream } from "../session/streams.ts";
import { keptRuns } from "./kept-runs.ts";
import type { Work } from "./work.ts";

/** Of each stream; what prints more is not kept. */
const STREAM_BYTES_MAX = 1024 * 1024;

/** One run while it is followed. */
export class RunHere {
  readonly #pieces: Readonly<Record<Stream, Uint8Array[]>> = { stdout: [], stderr: [] };
  readonly #bytes: Record<Stream, number> = { stdout: 0, stderr: 0 };
  readonly #held = new HeldFiles();

  /** What it prints, as it comes. */
  printed(stream: Stream, bytes: Uint8Array): void {
    this.#bytes[stream] += bytes.length;
    if (this.#bytes[stream] <= STREAM_BYTES_MAX) this.#pieces[stream].push(bytes.slice());
    else this.#pieces[stream].splice(0);
  }

  /** The same fetch, of which the bytes are held. */
  holding(fetch: (file: TreeFile) => Promise<Uint8Array>): (file: TreeFile) => Promise<Uint8Array> {
    return this.#held.holding(fetch);
  }

  /** Of one that ended well. */
  async keep(client: MarketClient, work: BuiltWork, lease: string, delivered: Delivered): Promise<void> {
    if (Math.max(this.#bytes.stdout, this.#bytes.stderr) > STREAM_BYTES_MAX) return;
    const printed = { stdout: concatBytes(...this.#pieces.stdout), stderr: concatBytes(...this.#pieces.stderr) };
    const text = keptRunText(work, { lease, delivered, printed, held: this.#held });
    if (text !== null) await keptRuns.keep(workDigest(client.crypto, work.spec), text);
  }
}

/** What the same work came to earlier, with what reads its files; null: it has to be run. */
export async function earlierHere(
  client: MarketClient,
  work: Work,
  wantsFiles: boolean,
): Promise<(Reusable & { fetch(file: TreeFile): Promise<Uint8Array> }) | null> {
  const digest = plannedDigest(client.crypto, work);
  const found = await reusable(client, keptRuns, { digest, wanted: work.wanted, wantsFiles });
  return found && { ...found, fetch: filesOf(found) };
}
