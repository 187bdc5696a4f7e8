import { HostileLink, frame, pingFrame } from "../hostile-link.ts";
import { household, many, stranger, type Row } from "../row.ts";

const LINKS = 40;

export const pings: Row = {
  says: "pings, the protocol's and WebSocket's own, unread",
  async play(url) {
    const one = await stranger(url);
    const links = await many(LINKS, async (i) => (await HostileLink.open(url, household(i % 2))).login(one));
    for (const [i, link] of links.entries()) {
      link.deafen();
      void link.pour(i % 2 === 0 ? () => frame({ t: "ping" }) : pingFrame);
    }
    return { links: LINKS };
  },
};
