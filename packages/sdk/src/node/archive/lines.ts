/**
 * The lines of a file of a market's archive, unpacked as they are read. Who controls the inputs: whoever handed over the file, every byte.
 * Bounds: one line in memory, of so many characters and JSON values; all together no more than what such a file can unpack to.
 */
import { createReadStream } from "node:fs";
import { pipeline } from "node:stream/promises";
import { createGunzip } from "node:zlib";
import { InputError } from "../../errors.ts";

const LINE_CHARS_MAX = 256 * 1024 * 1024;
/** Receipts have a value for each 80 characters: parsed, what has many more would take many times its own size. */
const CHARS_PER_VALUE_MIN = 16;
const VALUES_FREE = 1_024;
/** Signatures and hashes do not get smaller: receipts unpack to three times their size. */
const RATIO_MAX = 100;
const CHARS_FREE = 16 * 1024 * 1024;

/** One line that is under way. */
class Part {
  readonly #pieces: string[] = [];
  chars = 0;
  #values = 0;

  add(piece: string): void {
    this.#pieces.push(piece);
    this.chars += piece.length;
    for (let i = 0; i < piece.length; i++) {
      const char = piece.charCodeAt(i);
      // [ and { and ,
      if (char === 0x5b || char === 0x7b || char === 0x2c) this.#values++;
    }
    if (this.chars > LINE_CHARS_MAX) throw new InputError("a receipt in it is too long");
    if (this.#values > VALUES_FREE + this.chars / CHARS_PER_VALUE_MIN)
      throw new InputError("a line of it is no receipt: it is all brackets and commas");
  }

  get text(): string {
    return this.#pieces.join("");
  }
}

/** Throws InputError, after what could be read of it, where the file is no whole one. */
export async function* linesOf(file: string): AsyncGenerator<string, void> {
  const source = createReadStream(file);
  const unpacked = createGunzip().setEncoding("utf8");
  const reading = pipeline(source, unpacked);
  reading.catch(() => {}); // whoever reads what is unpacked hears of it
  let part = new Part();
  let chars = 0;
  try {
    for await (const read of unpacked) {
      const text = String(read);
      chars += text.length;
      if (chars > CHARS_FREE && chars > RATIO_MAX * source.bytesRead)
        throw new InputError(`it unpacks to more than ${RATIO_MAX} times its size`);
      const [first = "", ...lines] = text.split("\n");
      part.add(first);
      for (const line of lines) {
        yield part.text;
        part = new Part();
        part.add(line);
      }
    }
    await reading;
    if (part.chars > 0) throw new InputError("its last line is cut off");
  } catch (error) {
    if (error instanceof InputError) throw error;
    throw new InputError(error instanceof Error ? error.message : String(error), { cause: error });
  } finally {
    unpacked.destroy();
  }
}
