/** A machine's screen as one stream of this program, greeted: what comes next is a viewer's word. Who controls the inputs: the server. */
import type { Duplex } from "node:stream";
import { greetScreen } from "./handshake.ts";
import { streamPair } from "./stream-pair.ts";

/** What of a machine's link a screen needs. */
export interface ScreenLink {
  screen(stream: Duplex): Promise<void>;
}

/** Throws with the server's reason where there is no screen to see. */
export async function openScreen(link: ScreenLink, signal: AbortSignal): Promise<Duplex> {
  const [near, far] = streamPair();
  near.on("error", () => {}); // its close says enough
  far.on("error", (error: Error) => near.destroy(error));
  far.once("close", () => near.destroy());
  near.once("close", () => far.destroy());
  try {
    await link.screen(far);
    await greetScreen(near, signal);
    return near;
  } catch (error) {
    near.destroy();
    throw far.errored ?? error; // the server's reason, where it gave one
  }
}
