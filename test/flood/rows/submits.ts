import { HostileLink, frame } from "../hostile-link.ts";
import { household, many, stranger, type Row } from "../row.ts";

const LINKS = 100;

export const submits: Row = {
  says: "documents whose refusals nobody reads",
  async play(url) {
    const parties = await many(10, () => stranger(url));
    const links = await many(LINKS, async (i) => (await HostileLink.open(url, household(i % 10))).login(parties[i % 10]!));
    const envelope = parties[0]!.sign("stop", { lease: "ab".repeat(32), party: parties[0]!.identity.party, reason: "" }).envelope;
    for (const link of links) {
      link.deafen();
      void link.pour(() => frame({ t: "submit", ref: 1, envelope }));
    }
    return { links: LINKS };
  },
};
