/** A lease that is followed, shown as it comes. Who controls the inputs: the job (output), its server (states). */
import type { Chunk } from "@xenoservers/sdk";
import { dim, say, showRaw, yellow } from "./terminal.ts";

/** Output to where it belongs, to its end. `came`: called with each piece. */
export async function showOutput(output: AsyncIterable<Chunk>, came: () => void = () => {}): Promise<void> {
  for await (const { stream, bytes } of output) {
    came();
    await showRaw(stream, bytes);
  }
}

/** Troubles to stderr. */
export function showState(state: string): void {
  if (state === "reconnecting") say(dim("reconnecting"));
  if (state === "matched again") say(dim("matched again: it begins anew on another server"));
  if (state.startsWith("problem")) say(yellow(state));
}
