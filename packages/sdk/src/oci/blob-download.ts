/**
 * One blob on its way into a file. It goes on where it broke off if the registry can (RFC 9110, 14: ranges), and begins anew where an
 * answer is not what was asked for: the whole of it, another piece, or none. Who controls the inputs: the registry, every byte.
 */
import { open, stat } from "node:fs/promises";
import { ifThere } from "@xenoservers/protocol/files";
import type { Answer } from "./answer.ts";
import { isPage } from "./answer-words.ts";
import { isCalledPacked, unpacked } from "./packed-answer.ts";
import { Mishap } from "./patience.ts";
import { digestOfFile } from "./file-digest.ts";
import { OciError, type Descriptor, type OnBytes } from "./source.ts";

/** So often it goes on after a piece, at most: a registry that gives a byte at a time is never done. */
const PIECES_MAX = 1_000;

/** Where a piece begins and how large the whole is, by its Content-Range. */
function placeOf(header: string | undefined): { from: number; of: number | null } | null {
  const [, from, , of] = /^bytes (\d{1,15})-(\d{1,15})\/(\d{1,15}|\*)$/.exec(header ?? "") ?? [];
  return from === undefined ? null : { from: Number(from), of: of === undefined || of === "*" ? null : Number(of) };
}

const NOTHING: Buffer = Buffer.alloc(0);

export class BlobDownload {
  readonly #blob: Descriptor;
  readonly #file: string;
  readonly #onBytes: OnBytes;
  /** In the file, from its beginning. */
  #bytes = 0;
  #pieces = 0;
  /** Whether it was put together from several answers. */
  #isPatched = false;
  /** Pieces were not what they should be: none is asked for any more. */
  #wholeOnly = false;
  /** What is called packed was packed on its way: the layer is within. */
  #unpacks = false;

  constructor(blob: Descriptor, file: string, onBytes: OnBytes) {
    this.#blob = blob;
    this.#file = file;
    this.#onBytes = onBytes;
  }

  /** Goes on from what is in the file already. */
  async begin(): Promise<void> {
    const before = (await ifThere(stat(this.#file)))?.size ?? 0;
    if (before === 0 || before >= this.#blob.size) return;
    this.#bytes = before;
    this.#isPatched = true;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Whether a piece is asked for. */
  get isPiece(): boolean {
    return this.#bytes > 0 && !this.#wholeOnly;
  }

  get headers(): Record<string, string> {
    return this.isPiece ? { range: `bytes=${this.#bytes}-` } : {};
  }

  /** What was put together and is another blob is asked for once more, in one piece; whoever wanted it checks the rest. */
  async isWhole(): Promise<boolean> {
    const { size, digest } = this.#blob;
    if (this.#pieces === 0 || this.#bytes < size) return false;
    if (!this.#isPatched || this.#wholeOnly) return true;
    if ((await digestOfFile(this.#file, digest)) === digest) return true;
    this.#forget();
    return false;
  }

  /** Throws OciError where no other try gives more: something else is there, or the blob itself is smaller. */
  async #refuseWhatIsAll(answer: Answer, bytes: number, began: Buffer): Promise<void> {
    const { digest } = this.#blob;
    const { host } = answer.at;
    if (isPage(began)) throw new OciError(`${host} gives a page for people where ${digest} should be; check your connection`);
    if (String(bytes) !== answer.headers["content-length"] || (await digestOfFile(this.#file, digest)) !== digest) return;
    throw new OciError(`${digest} is smaller than its manifest says`);
  }

  #forget(): void {
    this.#wholeOnly = true;
    this.#isPatched = false;
    this.#bytes = 0;
    this.#onBytes(0);
  }

  /** Throws Mishap: what is here cannot be gone on with. */
  beginAnew(answer: Answer): never {
    answer.drop();
    this.#forget();
    throw new Mishap("it does not give the rest of what broke off");
  }

  /** Throws Mishap where what was called packed was not the layer as it is: it may be what is within, which is asked for anew. */
  #unpackInstead(answer: Answer): void {
    if (this.#unpacks || !isCalledPacked(answer)) return;
    this.#unpacks = true;
    this.#forget();
    throw new Mishap(`${answer.at.host} packs the layer on its way`);
  }

  /** Takes what an answer gives. Throws Mishap where it ends too soon. */
  async take(answer: Answer): Promise<void> {
    const { size, digest } = this.#blob;
    const { host } = answer.at;
    if (++this.#pieces > PIECES_MAX) throw new OciError(`${host} breaks off again and again: ${PIECES_MAX} times for one layer`);
    if (answer.status === 206) {
      const place = placeOf(answer.headers["content-range"]);
      if (place?.from !== this.#bytes || (place.of !== null && place.of !== size)) this.beginAnew(answer);
      this.#isPatched = true;
    } else this.#bytes = 0; // the whole of it, whatever was asked for
    const isFromBeginning = this.#bytes === 0;
    let began: Buffer = NOTHING;
    const handle = await open(this.#file, this.#bytes === 0 ? "w" : "r+", 0o600);
    try {
      const chunks = this.#unpacks && isCalledPacked(answer) ? unpacked(answer.chunks(), host) : answer.chunks();
      for await (const chunk of chunks) {
        if (this.#bytes + chunk.length > size) {
          this.#unpackInstead(answer);
          throw new OciError(`${digest} is larger than its manifest says`);
        }
        if (began.length === 0) began = chunk;
        await handle.write(chunk, 0, chunk.length, this.#bytes);
        this.#bytes += chunk.length;
        this.#onBytes(this.#bytes);
      }
    } finally {
      await handle.close();
      answer.drop();
    }
    if (this.#bytes === size) return;
    this.#unpackInstead(answer);
    if (isFromBeginning) await this.#refuseWhatIsAll(answer, this.#bytes, began);
    throw new Mishap(`${host} ends before the layer does`);
  }
}
