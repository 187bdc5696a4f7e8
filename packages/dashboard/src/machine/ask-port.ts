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

/** A path as a request has it: without blanks and ends of lines. */
export const pathIn = (text: string): string => encodeURI(`/${text.trim().replace(/^\//, "")}`);

async function readUpTo(reader: ReadableStreamDefaultReader<Uint8Array>, bytesMax: number): Promise<Answer> {
  const bytes = new Uint8Array(bytesMax);
  let size = 0;
  for (let read = await reader.read(); !read.done; read = await reader.read()) {
    const room = bytes.subarray(size);
    bytes.set(read.value.subarray(0, room.length), size);
    size += Math.min(read.value.length, room.length);
    if (read.value.length > room.length) {
      await reader.cancel();
      return { bytes, isCut: true };
    }
  }
  return { bytes: bytes.slice(0, size), isCut: false };
}

/** Rejects with the guest's or its server's reason, and where nothing ends it in half a minute. */
export async function askPort(machine: Pick<Machine, "connect">, port: number, path: string): Promise<Answer> {
  const { readable, writable } = await machine.connect(port, { signal: AbortSignal.timeout(ANSWER_MS) });
  const writer = writable.getWriter();
  // whoever answers without reading ends it early: what it said counts
  const asked = writer.write(new TextEncoder().encode(`GET ${path} HTTP/1.0\r\nHost: localhost:${port}\r\nAccept: */*\r\n\r\n`));
  asked.catch(() => {});
  writer.closed.catch(() => {});
  return readUpTo(readable.getReader(), ANSWER_BYTES_MAX);
}
