/** A list's reading that ends when its signal is given. */
import type { MarketClient } from "../client.ts";
import type { Reading } from "../lists.ts";
import { unlessOff } from "../calling-off.ts";

export const cancellableReading = (client: MarketClient, signal: AbortSignal | undefined): Reading => ({
  read: (name, request) => unlessOff(signal, client.read(name, { ...request, signal })),
  sleep: (ms) => unlessOff(signal, client.sleep(ms)),
});
