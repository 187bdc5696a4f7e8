/** What a file in an archive holds, from the archive where it lies. Who controls the inputs: whoever made the archive. */
import type { ArchiveBytes, TarEntry } from "./tar-read.ts";

const CHUNK_BYTES = 1024 * 1024;
const ZEROS = Buffer.alloc(CHUNK_BYTES);

/** A file's bytes, holes included. */
export async function* bytesOf({ size, pieces }: TarEntry, archive: ArchiveBytes): AsyncGenerator<Buffer> {
  let at = 0;
  const zeros = function* (to: number) {
    for (; at < to; at += Math.min(ZEROS.length, to - at)) yield ZEROS.subarray(0, to - at);
  };
  for (const piece of pieces) {
    yield* zeros(piece.at);
    for (const end = piece.at + piece.length; at < end;) {
      const bytes = Buffer.alloc(Math.min(CHUNK_BYTES, end - at));
      const { bytesRead } = await archive.read(bytes, 0, bytes.length, piece.from + at - piece.at);
      if (bytesRead === 0) throw new Error("an archive became shorter while it was read");
      yield bytes.subarray(0, bytesRead);
      at += bytesRead;
    }
  }
  yield* zeros(size);
}
