/** Each page's commands, in its order, from the packed files: what a reader who has nothing else comes to. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, it } from "vitest";
import { Guest } from "./guides/guest.ts";
import { CUSTOMERS, OPERATORS } from "./guides/pages.ts";
import type { Page } from "./guides/place.ts";
import { play } from "./guides/play.ts";

/** One reader after another at one machine; what one page installs or starts, the next has. */
function read(who: string, pages: Readonly<Record<string, Page>>): void {
  describe(who, () => {
    let place: string;
    const guests: Guest[] = [];
    const known = new Map<string, string>();
    beforeAll(async () => {
      place = await mkdtemp(path.join(tmpdir(), "xeno-guides-"));
    });
    afterAll(async () => {
      for (const guest of guests.toReversed()) await guest.close();
      await rm(place, { recursive: true, force: true });
    });
    it.each(Object.entries(pages))("%s", async (file, page) => {
      const guest = await Guest.at(path.join(place, "home"), path.join(place, path.basename(file, ".md")), known);
      guests.push(guest);
      await play(guest, file, page, (name, ms) => console.log(`${(ms / 1_000).toFixed(1).padStart(6)} s  ${name.slice(0, 100)}`));
    });
  });
}

read("a customer of a market on this machine", CUSTOMERS);
