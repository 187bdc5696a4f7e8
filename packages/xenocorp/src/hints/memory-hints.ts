/** Hints between brokers of one process. */
import type { Channel, Hints } from "./hints.ts";

export function memoryHints(): Hints {
  const ears: Record<Channel, Set<() => void>> = { events: new Set(), notes: new Set() };
  return {
    hint(channel) {
      for (const heard of ears[channel]) heard();
    },
    async listen(channel, heard) {
      ears[channel].add(heard);
      return () => void ears[channel].delete(heard);
    },
    async close() {
      for (const each of Object.values(ears)) each.clear();
    },
  };
}
