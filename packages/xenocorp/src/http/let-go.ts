/** A body that nobody will read. Who controls the inputs: whoever sends, how much comes and how fast. */
import type { Readable } from "node:stream";
import { letGo } from "@xenoservers/protocol";

/** Its bytes go back as they come. */
export function throwAway(body: Readable): void {
  body.on("data", (piece: unknown) => {
    if (piece instanceof Uint8Array) letGo(piece);
  });
}
