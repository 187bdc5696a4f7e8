/** Ends the reading of a socket that stays open for its last answer. Who controls the inputs: whoever sends on and on. */
import { letGo } from "@xenoservers/protocol";
import type { Duplex } from "node:stream";

/** Of a socket that is only paused Node reads one piece more, of 64 KiB, and keeps it. What was read and is not taken goes. */
export function stopReading(socket: Duplex): void {
  socket.pause();
  const rest: unknown = socket.read();
  if (rest instanceof Uint8Array) letGo(rest);
  if ("_handle" in socket) (socket._handle as { readStop?(): void } | null)?.readStop?.();
}
