/** A file's lines, however many they are. Who controls the input: whoever hands over the file, every byte. Bound: one line in memory. */
import { createReadStream } from "node:fs";
import { InputError } from "../../errors.ts";

const READ_BYTES = 64 * 1024;
const NEWLINE = 0x0a;

/** Without what ends each. Throws InputError where one is longer than this, or the last one does not end. */
export async function* linesOf(file: string, bytesMax: number): AsyncGenerator<Buffer, void> {
  let parts: Buffer[] = [];
  let length = 0;
  const stream = createReadStream(file, { highWaterMark: READ_BYTES });
  try {
    for await (const read of stream) {
      let bytes: Buffer = read as Buffer;
      for (let end = bytes.indexOf(NEWLINE); end >= 0; end = bytes.indexOf(NEWLINE)) {
        yield Buffer.concat([...parts, bytes.subarray(0, end)]);
        bytes = bytes.subarray(end + 1);
        [parts, length] = [[], 0];
      }
      if (bytes.length > 0) parts.push(bytes);
      length += bytes.length;
      if (length > bytesMax) throw new InputError("a line of it is longer than any document");
    }
  } finally {
    stream.destroy();
  }
  if (length > 0) throw new InputError("its last line is cut off");
}

/** What a line, or a file, says; null where that is no JSON. */
export function jsonIn(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
