import { HostileLink } from "../hostile-link.ts";
import { again, household, many, type Row } from "../row.ts";

const LINKS = 1_000;
const LENGTH = 250_000;

export const halfMessages: Row = {
  says: "messages that are begun and never ended, before anybody has logged in",
  async play(url) {
    const open = async (i: number): Promise<void> => {
      const link = await HostileLink.open(url, household(i));
      await link.hears("challenge").catch(() => {});
      link.begin(LENGTH, LENGTH - 1);
      again(link.gone, () => open(i));
    };
    await many(LINKS, open);
    return { links: LINKS };
  },
};
