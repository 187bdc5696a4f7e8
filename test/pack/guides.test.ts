/** Each page's commands, in its order, from the packed files: what a reader who has nothing else comes to. */
import { spawnSync } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, it } from "vitest";
import { Guest } from "./guides/guest.ts";
import { CUSTOMERS, MACHINES, OPERATORS } from "./guides/pages.ts";
import type { Page } from "./guides/place.ts";
import { play } from "./guides/play.ts";
import { packed } from "./install.ts";
import { OWN_SCRIPT } from "./newcomer.ts";

const seconds = (ms: number): string => `${(ms / 1_000).toFixed(1).padStart(6)} s`;

/** All pages are read at one machine: what one page installs, the next has. */
let place: string;
const known = new Map<string, string>();
beforeAll(async () => {
  place = await mkdtemp(path.join(tmpdir(), "xeno-guides-"));
});
afterAll(() => rm(place, { recursive: true, force: true }));

/** Somebody who reads these pages; what they start goes on until the last of them. `ends`: typed then, for what would outlive its daemon. */
function read(who: string, pages: Readonly<Record<string, Page>>, ends = "true"): void {
  describe(who, () => {
    const guests: Guest[] = [];
    afterAll(async () => {
      await guests.at(-1)?.types(ends);
      for (const guest of guests.toReversed()) await guest.close();
    });
    it.each(Object.entries(pages))("%s", async (file, page) => {
      const guest = await Guest.at(path.join(place, "home"), path.join(place, path.basename(file, ".md")), packed(), known);
      guests.push(guest);
      let all = 0;
      await play(guest, file, page, (name, ms) => {
        all += ms;
        console.log(`${seconds(ms)}  ${name.slice(0, 100)}`);
        if (name === OWN_SCRIPT) console.log(`${seconds(all)}  from nothing installed to the result of one's own script`);
      });
    });
  });
}

const NEEDED = ["qemu-system-x86_64", "umoci", "busybox"];
const missing = NEEDED.filter((name) => spawnSync("which", [name]).status !== 0);
if (missing.length > 0)
  console.warn(`SKIPPED: ${Object.keys(MACHINES).join(", ")}: here is no ${missing.join(", no ")}; .ci/run installs them`);

read("a customer of a market on this machine", CUSTOMERS);
read("an operator, an owner and their customer", { ...OPERATORS, ...(missing.length > 0 ? {} : MACHINES) }, "xeno server stop --now");
