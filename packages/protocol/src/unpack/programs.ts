/**
 * What is unpacked by programs of the system (xz, bzip2), which engines of containers read and nothing in Node does. Whoever takes
 * strangers' bytes starts them in a box. Who controls the inputs: whoever made the file, every byte.
 */
import type { ChildProcessByStdio } from "node:child_process";
import { Duplex, type Readable, type Writable } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { ProgramPacking } from "./packing.ts";

/** As `xz -9` makes it is 64 MiB, and little comes with it; a larger dictionary is for nothing that a layer holds. */
const XZ_MEMORY_MIB = 96;

export const PROGRAMS = {
  bzip2: ["bzip2", "--decompress", "--stdout"],
  xz: ["xz", "--decompress", "--stdout", "--threads=1", `--memlimit-decompress=${XZ_MEMORY_MIB}MiB`],
} as const;

const SAID_CHARS = 200;

/** What a program says of the bytes that it reads. */
export class UnpackError extends Error {
  override name = "UnpackError";
}

/** Its last word, without its own name before it. */
function wordOf(said: string): string {
  const last = said.trim().split("\n").at(-1) ?? "";
  return last.replace(/^\S+: (?:\(stdin\): )?/, "").slice(0, SAID_CHARS);
}

/** Through the program that `start` starts, which ends with it. Fails with UnpackError where that says that the bytes are at fault. */
export function throughProgram(packing: ProgramPacking, start: () => ChildProcessByStdio<Writable, Readable, Readable>): Duplex {
  return Duplex.from(async function* (source: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
    const child = start();
    let said = "";
    child.stderr.on("data", (bytes: Buffer) => (said = (said + bytes.toString()).slice(-2 * SAID_CHARS)));
    const ended = new Promise<number | null>((resolve, reject) => child.once("close", resolve).once("error", reject));
    ended.catch(() => {}); // waited for below
    let broke: Error | null = null;
    const fed = pipeline(source, child.stdin).catch((error: NodeJS.ErrnoException) => {
      // it has ended before its input: its own end says why
      if (error.code !== "EPIPE" && error.code !== "ERR_STREAM_PREMATURE_CLOSE") broke = error;
    });
    try {
      for await (const bytes of child.stdout) yield bytes as Buffer;
      const code = await ended;
      if (code === null) throw new Error(`${packing} was ended before it was done`);
      if (code !== 0)
        throw /^\s*$/.test(said) || code > 3 ? new Error(`${packing} ended with ${code}: ${said.trim()}`) : new UnpackError(wordOf(said));
      await fed;
      if (broke !== null) throw broke as Error;
    } finally {
      child.kill("SIGKILL");
    }
  });
}
