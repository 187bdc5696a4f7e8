import { HostileLink } from "../hostile-link.ts";
import { again, household, many, stranger, type Row } from "../row.ts";

const LINKS = 400;

export const links: Row = {
  says: "links of one party, opened again whenever they are closed",
  async play(url) {
    const one = await stranger(url);
    const open = async (i: number): Promise<void> => {
      const link = await HostileLink.open(url, household(i % 4));
      void link.login(one).catch(() => {});
      again(link.gone, () => open(i));
    };
    await many(LINKS, open);
    return { links: LINKS };
  },
};
