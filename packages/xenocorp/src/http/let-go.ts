/**
 * Gives bytes back at once that nobody reads any more. Left to the collector, up to 64 MiB of them stay: it counts what lies outside its
 * heap and looks for it only then, whatever the heap may be. Who controls the inputs: whoever sends, how much comes and how fast.
 */
import type { Readable } from "node:stream";

/** They must be this caller's alone. What shares its memory with other bytes stays for the collector. */
export function letGo({ buffer, byteLength }: Uint8Array): void {
  if (buffer instanceof ArrayBuffer && buffer.byteLength === byteLength) buffer.transfer(0);
}

/** Of a body that nobody will read. */
export function throwAway(body: Readable): void {
  body.on("data", (piece: unknown) => {
    if (piece instanceof Uint8Array) letGo(piece);
  });
}
