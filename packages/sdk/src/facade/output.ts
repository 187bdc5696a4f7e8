/**
 * What a job prints, piece by piece. Whoever reads slowly slows the job's stream, not this program's memory; where nobody reads, the newest
 * is held up to a bound and the rest flows on. Who controls the inputs: the job and its server, every byte.
 */
import { concatBytes } from "@xenoservers/protocol";
import type { Stream } from "../session/streams.ts";

/** One piece of a job's output. */
export interface Chunk {
  stream: Stream;
  /**
   * Where in its stream it begins: after a gap, what came before was not held for a reader that came late. At 0 again, the order was placed
   * on another server, and what came before is void.
   */
  offset: number;
  bytes: Uint8Array;
  /** The same as text; a letter that is cut in two stands in the later piece. */
  text: string;
}

/** How far ahead of its reader, and how much of the newest where there is none. */
const HELD_BYTES_MAX = 1024 * 1024;
/** Of the beginning of each stream, for the result. */
const KEPT_BYTES_MAX = 1024 * 1024;

export const textOf = (bytes: Uint8Array): string => new TextDecoder().decode(bytes, { stream: true });

class Kept {
  readonly #bytesMax: number;
  readonly #decoder = new TextDecoder();
  readonly #pieces: Uint8Array[] = [];
  #size = 0;
  isCut = false;
  offset = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  chunk(stream: Stream, bytes: Uint8Array): Chunk {
    const chunk = { stream, offset: this.offset, bytes, text: this.#decoder.decode(bytes, { stream: true }) };
    this.offset += bytes.length;
    const room = this.#bytesMax - this.#size;
    if (bytes.length > room) this.isCut = true;
    if (room > 0 && bytes.length > 0) this.#pieces.push(bytes.slice(0, room));
    this.#size += Math.min(room, bytes.length);
    return chunk;
  }

  get bytes(): Uint8Array {
    const whole = concatBytes(...this.#pieces);
    this.#pieces.splice(0, this.#pieces.length, whole);
    return whole;
  }
}

/** The output of one job: `for await (const { text } of job.output)`. */
export class Output implements AsyncIterable<Chunk> {
  readonly #keptMax: number;
  #kept: Readonly<Record<Stream, Kept>>;
  readonly #held: Chunk[] = [];
  #heldBytes = 0;
  #readers = 0;
  #isOver = false;
  #news: (() => void) | null = null;
  readonly #room: (() => void)[] = [];

  /** `times`: of the beginning of each stream so many times as much is kept. */
  constructor(times = 1) {
    this.#keptMax = times * KEPT_BYTES_MAX;
    this.#kept = this.#fresh();
  }

  #fresh(): Readonly<Record<Stream, Kept>> {
    return { stdout: new Kept(this.#keptMax), stderr: new Kept(this.#keptMax) };
  }

  /** The beginning of a stream. */
  bytesOf(stream: Stream): Uint8Array {
    return this.#kept[stream].bytes;
  }

  /** The same as text; a letter that is cut off at its end is left out. */
  textOf(stream: Stream): string {
    return textOf(this.bytesOf(stream));
  }

  /** Whether a stream was longer than what is kept of it. */
  isCut(stream: Stream): boolean {
    return this.#kept[stream].isCut;
  }

  /** Takes what came; resolves when more may come. */
  take(stream: Stream, bytes: Uint8Array): void | Promise<void> {
    const chunk = this.#kept[stream].chunk(stream, bytes);
    this.#held.push(chunk);
    this.#heldBytes += bytes.length;
    this.#tell();
    if (this.#heldBytes <= HELD_BYTES_MAX) return;
    if (this.#readers > 0) return new Promise((resolve) => this.#room.push(resolve));
    this.#dropOldest();
  }

  /** Another server begins anew: what was not read yet of the one before is not shown. */
  restart(): void {
    this.#kept = this.#fresh();
    this.#held.length = 0;
    this.#heldBytes = 0;
    this.#goOn();
  }

  /** Nothing more comes. */
  end(): void {
    this.#isOver = true;
    this.#tell();
  }

  #dropOldest(): void {
    while (this.#heldBytes > HELD_BYTES_MAX) this.#shift();
  }

  #shift(): Chunk | undefined {
    const first = this.#held.shift();
    this.#heldBytes -= first?.bytes.length ?? 0;
    if (this.#heldBytes <= HELD_BYTES_MAX) this.#goOn();
    return first;
  }

  #goOn(): void {
    for (const room of this.#room.splice(0)) room();
  }

  #tell(): void {
    const news = this.#news;
    this.#news = null;
    news?.();
  }

  /** What is held, then what comes, to the end. Readers at once share it: each piece goes to one of them. */
  async *[Symbol.asyncIterator](): AsyncGenerator<Chunk, void> {
    this.#readers++;
    try {
      for (;;) {
        const chunk = this.#shift();
        if (chunk) yield chunk;
        else if (this.#isOver) return;
        else await this.#coming();
      }
    } finally {
      this.#readers--;
      if (this.#readers === 0) {
        this.#dropOldest();
        this.#goOn();
      }
    }
  }

  async #coming(): Promise<void> {
    const others = this.#news;
    await new Promise<void>((resolve) => {
      this.#news = () => {
        others?.();
        resolve();
      };
    });
  }
}
