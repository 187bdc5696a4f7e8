/** What answers at a port of the guest, asked as a browser would (HTTP/1.0). Who controls what comes: the guest, every byte. */
import { InputError } from "@xenoservers/sdk";
import type { Machine } from "@xenoservers/sdk/machines";

/** As much as is shown. */
const ANSWER_BYTES_MAX = 64 * 1024;
const ANSWER_MS = 30_000;

export interface Answer {
  bytes: Uint8Array;
  /** More came, or would have. */
  isCut: boolean;
}

export function portIn(text: string): number {
  const port = Number(text);
  if (!/^\d{1,5}$/.test(text.trim()) || port < 1 || port > 65_535) throw new InputError("a port is a number from 1 to 65535");
  return port;
}

/** A path and its query as a browser would ask for them: what is spelt out stays so, and all else that a request cannot have is. */
export function pathIn(text: string): string {
  const { pathname, search } = new URL(`http://localhost/${text.trim().replace(/^\//, "")}`);
  return pathname + search;
}

/** Ends where `signal` is given, with what has come by then. */
async function readUpTo(reader: ReadableStreamDefaultReader<Uint8Array>, bytesMax: number, signal: AbortSignal): Promise<Answer> {
  const bytes = new Uint8Array(bytesMax);
  let size = 0;
  try {
    for (let read = await reader.read(); !read.done; read = await reader.read()) {
      const room = bytes.subarray(size);
      bytes.set(read.value.subarray(0, room.length), size);
      size += Math.min(read.value.length, room.length);
      if (read.value.length > room.length) {
        await reader.cancel();
        return { bytes, isCut: true };
      }
    }
  } catch (error) {
    if (signal.aborted && size > 0) return { bytes: bytes.slice(0, size), isCut: true };
    throw error;
  }
  return { bytes: bytes.slice(0, size), isCut: false };
}

/**
 * Rejects with the guest's or its server's reason, and where nothing has come in half a minute; what answers for longer is cut off there.
 * `signal`: says when that is.
 */
export async function askPort(
  machine: Pick<Machine, "connect">,
  port: number,
  path: string,
  signal: AbortSignal = AbortSignal.timeout(ANSWER_MS),
): Promise<Answer> {
  try {
    const { readable, writable } = await machine.connect(port, { signal });
    const writer = writable.getWriter();
    // whoever answers without reading ends it early: what it said counts
    const asked = writer.write(new TextEncoder().encode(`GET ${path} HTTP/1.0\r\nHost: localhost:${port}\r\nAccept: */*\r\n\r\n`));
    asked.catch(() => {});
    writer.closed.catch(() => {});
    return await readUpTo(readable.getReader(), ANSWER_BYTES_MAX, signal);
  } catch (error) {
    throw signal.aborted ? new Error(`nothing has come in ${ANSWER_MS / 1_000} seconds`, { cause: error }) : error;
  }
}

/** What a customer types to have a port here. */
export const forwardLine = (lease: string): string => `xeno forward ${lease.slice(0, 12)} 8080:80`;
