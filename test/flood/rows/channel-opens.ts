import { randomBytes } from "node:crypto";
import { HostileLink, frame } from "../hostile-link.ts";
import { household, many, stranger, type Row } from "../row.ts";

const LINKS = 40;

export const channelOpens: Row = {
  says: "channels to no lease, without end",
  async play(url) {
    const one = await stranger(url);
    const links = await many(LINKS, async (i) => (await HostileLink.open(url, household(i % 2))).login(one));
    const open = (): Buffer =>
      frame({ t: "channel-open", lease: randomBytes(32).toString("hex"), session: randomBytes(16).toString("hex") });
    for (const link of links) void link.pour(open);
    return { links: LINKS };
  },
};
