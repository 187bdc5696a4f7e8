/** From nothing installed to what one's own script prints: docs/start.md as far as that. */
import path from "node:path";
import { Guest } from "./guides/guest.ts";
import { CUSTOMERS } from "./guides/pages.ts";
import { play } from "./guides/play.ts";
import type { Packed } from "./packed-files.ts";

const PAGE = "docs/start.md";
/** The line that comes to it. */
export const OWN_SCRIPT = "xeno run script.py";

/** What each line took, in milliseconds. `folder`: empty; nothing of this machine's npm is in its home. */
export async function newcomer(folder: string, packed: Packed): Promise<Map<string, number>> {
  const took = new Map<string, number>();
  const guest = await Guest.at(path.join(folder, "home"), path.join(folder, "own"), packed);
  try {
    await play(guest, PAGE, CUSTOMERS[PAGE]!, (name, ms) => {
      took.set(name, ms);
      return name !== OWN_SCRIPT;
    });
  } finally {
    await guest.close();
  }
  return took;
}
