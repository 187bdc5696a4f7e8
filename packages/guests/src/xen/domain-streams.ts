/**
 * What the program of an image prints in a domain: two streams, which come through its console one between the other (init/domain.pl), as
 * files of their own. They are made of the console's file, and again from its start by each daemon. Who controls the inputs: the guest,
 * every byte.
 */
import { constants } from "node:fs";
import { open, rm } from "node:fs/promises";
import path from "node:path";
import { guestTextEnd, readGuestFile } from "../guest-files.ts";
import { CONSOLE_LOG } from "./domain-console.ts";

const STREAMS = ["console", "stdout", "stderr"] as const;
type Stream = (typeof STREAMS)[number];

/** Says in the console whose bytes come next; twice, it is itself. */
const MARK = 0x10;
const MARKED: ReadonlyMap<number, Stream> = new Map([
  [0x31, "stdout"],
  [0x32, "stderr"],
]);

const CHUNK_BYTES = 256 * 1024;
const WORDS_BYTES = 2_000;
const fileOf = (stream: Stream): string => (stream === "console" ? "boot" : stream);

interface Part {
  stream: Stream;
  bytes: Uint8Array;
}

/** Tells apart what comes in pieces of any size. */
export class StreamSplitter {
  #stream: Stream = "console";
  #isMarked = false;

  split(bytes: Uint8Array): Part[] {
    const found: Part[] = [];
    let from = 0;
    const take = (to: number): void => {
      if (to > from) found.push({ stream: this.#stream, bytes: bytes.subarray(from, to) });
    };
    for (let at = this.#isMarked ? 0 : bytes.indexOf(MARK); at >= 0 && at < bytes.length; at = bytes.indexOf(MARK, at)) {
      if (!this.#isMarked) {
        take(at);
        this.#isMarked = true;
        from = ++at;
        if (at >= bytes.length) return found;
      }
      this.#isMarked = false;
      const next = MARKED.get(bytes[at]!);
      // what no mark of ours is is what was printed
      if (next !== undefined) this.#stream = next;
      from = next === undefined ? at : at + 1;
      at++;
    }
    take(bytes.length);
    return found;
  }
}

/** One of each stream: a guest that changes it with every byte has no file opened as often. */
const byStream = (parts: readonly Part[]): Part[] =>
  STREAMS.flatMap((stream) => {
    const own = parts.filter((part) => part.stream === stream).map(({ bytes }) => bytes);
    return own.length === 0 ? [] : [{ stream, bytes: Buffer.concat(own) }];
  });

export class DomainStreams {
  readonly #folder: string;
  readonly #bytesMax: number;
  readonly #splitter = new StreamSplitter();
  #at = 0;
  /** What was told apart and is in no file yet: a disk that is full takes it later. */
  #parts: Part[] = [];
  /** What is in each file. */
  readonly #lengths: Record<Stream, number> = { console: 0, stdout: 0, stderr: 0 };
  #turn: Promise<void>;

  /** `bytesMax`: of the console. */
  constructor(folder: string, bytesMax: number) {
    this.#folder = folder;
    this.#bytesMax = bytesMax;
    this.#turn = Promise.all(STREAMS.map((stream) => rm(path.join(folder, fileOf(stream)), { force: true }))).then(() => {});
  }

  /** With all that has come. */
  #caughtUp(): Promise<void> {
    const turn = this.#turn.then(async () => {
      for (;;) {
        for (; this.#parts[0]; this.#parts.shift()) await this.#put(this.#parts[0]);
        const bytes = await readGuestFile(this.#folder, CONSOLE_LOG, this.#at, Math.min(CHUNK_BYTES, this.#bytesMax - this.#at));
        if (bytes.length === 0) return;
        this.#at += bytes.length;
        this.#parts = byStream(this.#splitter.split(bytes));
      }
    });
    this.#turn = turn.catch(() => {});
    return turn;
  }

  /** At its place: what was written of it before, where that failed, is written again. */
  async #put({ stream, bytes }: Part): Promise<void> {
    const file = await open(path.join(this.#folder, fileOf(stream)), constants.O_WRONLY | constants.O_CREAT, 0o600);
    try {
      const from = this.#lengths[stream];
      for (let at = 0; at < bytes.length;) at += (await file.write(bytes, at, bytes.length - at, from + at)).bytesWritten;
    } finally {
      await file.close();
    }
    this.#lengths[stream] += bytes.length;
  }

  async read(stream: Stream, offset: number): Promise<Uint8Array> {
    await this.#caughtUp();
    return readGuestFile(this.#folder, fileOf(stream), offset, CHUNK_BYTES);
  }

  /** What our own init said last before anything of the image ran; null where it did not complain. */
  async complaint(): Promise<string | null> {
    await this.#caughtUp();
    const lines = (await guestTextEnd(this.#folder, fileOf("console"), WORDS_BYTES)).split("\n");
    return lines.findLast((line) => line.includes("xeno-init:"))?.trim() ?? null;
  }
}
